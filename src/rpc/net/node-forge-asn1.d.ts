// node-forge's ASN.1 alone: a third of the whole library's load time, which every command line
// would pay at its start.
declare module "node-forge/lib/asn1.js" {
  import { asn1 } from "node-forge";

  export default asn1;
}
