/**
 * Values of options that name an address to listen on or to be reached at.
 */
import { described, type Parser, port, ValueError } from "../cli/index.js";
import { type Address, AddressError, parseAddress, parseHostPort } from "../rpc/net/address.js";

/** `tcp:HOST:PORT` or `unix:/PATH`. */
export const address: Parser<Address> = described(
  (text) => orValueError(() => parseAddress(text)),
  { meaning: "tcp:HOST:PORT or unix:PATH" },
);

/** `PORT` or `ADDR:PORT`. */
export const listenPort: Parser<{ readonly host: string | undefined; readonly port: number }> = (
  text,
) => {
  if (!text.includes(":")) return { host: undefined, port: port(text) };
  return orValueError(() => parseHostPort(text));
};

function orValueError<T>(parse: () => T): T {
  try {
    return parse();
  } catch (error) {
    throw error instanceof AddressError ? new ValueError(error.message, { cause: error }) : error;
  }
}
