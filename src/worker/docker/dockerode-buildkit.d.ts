/**
 * Types for a part of dockerode that has none. Numbers of 64 bits and bytes come as text: decimal, and base64.
 */
declare module "dockerode/lib/buildkit.js" {
  interface Timestamp {
    readonly seconds: string;
    readonly nanos: number;
  }

  interface BuildKitStatus {
    readonly vertexes: readonly {
      readonly digest: string;
      readonly name: string;
      readonly started?: Timestamp | null;
      readonly completed?: Timestamp | null;
      readonly cached: boolean;
      readonly error: string;
    }[];
    readonly statuses: readonly {
      readonly ID: string;
      readonly vertex: string;
      readonly name: string;
      readonly completed?: Timestamp | null;
    }[];
    readonly logs: readonly {
      readonly vertex: string;
      readonly timestamp: Timestamp;
      /** Base64. */
      readonly msg: string;
    }[];
  }

  const buildkit: {
    /** Decodes a `moby.buildkit.v1.StatusResponse` in base64. */
    decodeBuildKitStatus(base64: string): BuildKitStatus;
  };
  export default buildkit;
}
