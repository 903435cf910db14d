/**
 * What can go wrong with a request to an object store. `status` is HTTP's; 0 if there was no
 * answer, or none to its end. `code` is the store's own word for it, such as `NoSuchUpload`; "" if
 * it gave none.
 */
export class TransferError extends Error {
  override readonly name = "TransferError";

  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }

  /** Whether the same may well succeed a little later. */
  get passes(): boolean {
    const { status } = this;
    return status === 0 || status === 408 || status === 429 || status >= 500;
  }
}
