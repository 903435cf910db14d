/**
 * Params or results: content, and the capabilities that its capability pointers number.
 */
import type { Struct, StructCtor } from "capnp-es";
import { NULL_HOOK } from "../capability/broken.js";
import type { Hook } from "../capability/hook.js";
import { Content, FramePointer } from "../wire/content.js";
import { POINTER, WORD } from "../wire/layout.js";
import type { Path } from "../wire/messages.js";
import { SegmentMessage } from "./message.js";

const NO_HOOKS: readonly Hook[] = [];

export class Payload {
  /**
   * In place in a received message until `keep` is called; a string of its bytes from `pack` until
   * it is used again.
   */
  private source: Content | FramePointer | string | undefined;
  /** The typed view on the content, which it may have changed in form. */
  private message: SegmentMessage | undefined;
  private isShared = false;

  constructor(
    content: Content | FramePointer | undefined,
    /** Owned, one reference each. */
    private hooks: readonly Hook[],
  ) {
    this.source = content;
  }

  static empty(): Payload {
    return new Payload(undefined, NO_HOOKS);
  }

  /** A payload that is nothing but a capability, as a bootstrap's results are. Takes `hook`. */
  static ofCapability(hook: Hook): Payload {
    return new Payload(ROOT_CAPABILITY, [hook]);
  }

  get content(): Content | FramePointer | undefined {
    if (this.message !== undefined) return this.message.content;
    if (typeof this.source === "string") this.source = Content.unpack(this.source);
    return this.source;
  }

  get capabilities(): readonly Hook[] {
    return this.hooks;
  }

  /** Copies the content out of the message that it came in. `WireError` if it is malformed. */
  keep(): Content | undefined {
    const { content } = this;
    if (!(content instanceof FramePointer)) return content;
    const kept = content.toContent();
    this.source = kept;
    return kept;
  }

  /**
   * Puts the content into its smallest form, for a payload that has to wait: it unfolds when it is
   * used again. What `as` gave is not valid any more. Only after `keep`.
   */
  pack(): void {
    const { content } = this;
    if (!(content instanceof Content) || content === ROOT_CAPABILITY) return;
    this.source = content.pack();
    this.message = undefined;
    this.isShared = false;
  }

  /** The message that it came in has been handled: content that was not kept is gone. */
  expire(): void {
    if (this.source instanceof FramePointer) this.source = undefined;
  }

  /** Reads the content as a struct. */
  as<T extends Struct>(type: StructCtor<T>): T {
    if (this.message === undefined) {
      const content = this.keep();
      if (content === undefined) {
        this.message = new SegmentMessage(new ArrayBuffer(EMPTY_BYTES), WORD);
      } else {
        const buffer = this.isShared ? content.buffer.slice(0) : content.buffer;
        this.message = new SegmentMessage(buffer, content.byteLength);
      }
    }
    return this.message.getRoot(type);
  }

  /** The capability at `path`; the null one when there is none. Not counted. Only after `keep`. */
  at(path: Path): Hook {
    return this.hooks[this.indexAt(path)] ?? NULL_HOOK;
  }

  /** Its number in `capabilities`; -1 when there is none. */
  indexAt(path: Path): number {
    const { content } = this;
    return content instanceof Content ? content.capabilityAt(path) : -1;
  }

  /**
   * Pointer `index` of the root with all that it leads to, by itself. A copy, with references of
   * its own.
   */
  field(index: number): Payload {
    const hooks: Hook[] = [];
    const numbers = new Map<number, number>();
    const content = this.keep()?.field(index, (old) => {
      let number = numbers.get(old);
      if (number === undefined) {
        number = hooks.push((this.hooks[old] ?? NULL_HOOK).addRef()) - 1;
        numbers.set(old, number);
      }
      return number;
    });
    return new Payload(content, hooks.length === 0 ? NO_HOOKS : hooks);
  }

  /** Puts hooks in the places of the capabilities with these numbers. Takes them. */
  replace(replacements: ReadonlyMap<number, Hook>): void {
    if (replacements.size === 0) return;
    const { hooks } = this;
    this.hooks = hooks.map((hook, index) => replacements.get(index) ?? hook);
    for (const index of replacements.keys()) hooks[index]!.release();
  }

  /** Another owner of the same content and capabilities. */
  share(): Payload {
    for (const hook of this.hooks) hook.addRef();
    // A typed view writes into the content: neither may do so in the other's.
    this.isShared = true;
    const content = this.keep();
    const isOpen = this.message !== undefined;
    const shared = new Payload(isOpen ? content?.copy() : content, this.hooks);
    shared.isShared = !isOpen;
    return shared;
  }

  release(): void {
    this.source = undefined;
    this.message = undefined;
    const { hooks } = this;
    this.hooks = NO_HOOKS;
    for (const hook of hooks) hook.release();
  }
}

/** Room for the defaults of a struct that was not sent at all. */
const EMPTY_BYTES = 256;

/** The first word says: capability 0. */
const ROOT_CAPABILITY = new Content(new Uint32Array([POINTER.other, 0]).buffer, WORD);
