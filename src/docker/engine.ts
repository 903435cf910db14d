/*
 * A Docker engine: images, containers and volumes by their names, and one kind of error.
 */

import type { IncomingMessage } from "node:http";
import type { Duplex, Readable } from "node:stream";
import type Docker from "dockerode";
import { answer, EngineError } from "./errors.js";
import { engineMessages } from "./messages.js";
import { connectEngine } from "./requests.js";

const MISSING = 404;
const CONFLICT = 409;

export type ImageInfo = Docker.ImageInspectInfo;

/** An image with names of its own. */
export interface ListedImage {
  readonly id: string;
  /** The image it was made from; empty if it was not made here. */
  readonly parent: string;
  readonly names: readonly string[];
  /** Bytes, with all it was made from. */
  readonly size: number;
}

/** As Go has it (`os.FileMode`). */
export interface ContainerStat {
  readonly mode: number;
  readonly linkTarget: string;
}

export class DockerEngine {
  readonly #docker = connectEngine();

  /** Undefined if there is no such image. */
  image(name: string): Promise<ImageInfo | undefined> {
    return unlessMissing(this.#docker.getImage(name).inspect());
  }

  /** All images with a name that begins like that, and no others. */
  async images(prefix: string): Promise<ListedImage[]> {
    const filters = { reference: [`${prefix}*`] };
    const images = await answer(this.#docker.listImages({ filters }));
    return images.map(({ Id, ParentId, RepoTags, Size }) => ({
      id: Id,
      parent: ParentId,
      names: (RepoTags ?? []).filter((name) => name.startsWith(prefix)),
      size: Size,
    }));
  }

  /** Gives an image another name, which is taken from the image that had it. */
  async tag(image: string, name: string): Promise<void> {
    await answer(this.#docker.getImage(image).tag({ repo: name, tag: "latest" }));
  }

  /**
   * Takes a name away from an image; with its last name the image goes, too, unless others were
   * made from it.
   */
  async removeImage(name: string): Promise<void> {
    await unlessMissing(this.#docker.getImage(name).remove({ force: true }));
  }

  /** Makes an image of one layer from an archive. `changes` are lines of a Dockerfile. */
  async importImage(archive: Readable, name: string, changes: readonly string[]): Promise<void> {
    const options = { repo: name, tag: "latest", changes };
    const response = await answer(this.#docker.importImage(archive, options));
    for await (const { error } of engineMessages(response as Readable)) {
      if (error !== undefined) throw EngineError.refused(error);
    }
  }

  /** The image as an archive, as `docker save` has it. */
  saveImage(name: string): Promise<NodeJS.ReadableStream> {
    return answer(this.#docker.getImage(name).get());
  }

  /** Takes the name from a container that has it. */
  async createContainer(options: Docker.ContainerCreateOptions & { name: string }): Promise<void> {
    const create = () => answer(this.#docker.createContainer(options));
    try {
      await create();
    } catch (error) {
      if (!(error instanceof EngineError && error.status === CONFLICT)) throw error;
      await this.removeContainer(options.name);
      await create();
    }
  }

  /**
   * A container's standard input and, multiplexed, output and error. To be had before it is
   * started, or output is lost.
   */
  async attach(container: string, options: { readonly stdin: boolean }): Promise<Duplex> {
    const { stdin } = options;
    const all = { stream: true, hijack: true, stdin, stdout: true, stderr: true };
    return (await answer(this.#docker.getContainer(container).attach(all))) as Duplex;
  }

  /**
   * What is at an absolute path in a container, running or not. Of a link, the link, with the
   * absolute path where it ends in the container. Undefined if there is nothing.
   */
  async stat(container: string, path: string): Promise<ContainerStat | undefined> {
    const request = this.#docker.getContainer(container).infoArchive({ path });
    const response: IncomingMessage | undefined = await unlessMissing(request);
    response?.resume();
    const header = response?.headers["x-docker-container-path-stat"];
    if (header === undefined) return undefined;
    return JSON.parse(Buffer.from(String(header), "base64").toString("utf8")) as ContainerStat;
  }

  async startContainer(name: string): Promise<void> {
    await answer(this.#docker.getContainer(name).start());
  }

  /** The exit status of a container's program, once that has ended. */
  async waitForContainer(name: string): Promise<number> {
    const { StatusCode } = await answer(this.#docker.getContainer(name).wait());
    return StatusCode as number;
  }

  /**
   * Makes an image from a container that has ended. What `config` leaves empty is the container's.
   */
  async commit(container: string, name: string, config: object): Promise<void> {
    const query = { container, repo: name, tag: "latest", pause: false };
    const options = { _query: query, _body: config };
    await answer(this.#docker.getContainer(container).commit(options));
  }

  /** Kills it if it runs; anonymous volumes go with it. Nothing happens if there is none. */
  async removeContainer(name: string): Promise<void> {
    const container = this.#docker.getContainer(name);
    try {
      await unlessMissing(container.remove({ force: true, v: true }));
    } catch (error) {
      // Somebody else is just removing it.
      if (!(error instanceof EngineError && error.status === CONFLICT)) throw error;
      await unlessMissing(container.wait({ condition: "removed" }));
    }
  }

  /** The names of all containers with a name that begins like that. */
  async containers(prefix: string): Promise<string[]> {
    const filters = { name: [`^/${prefix}`] };
    const containers = await answer(this.#docker.listContainers({ all: true, filters }));
    return containers.map(({ Id }) => Id);
  }

  /** Where a volume's content is on the engine's machine; undefined if there is no such volume. */
  async volume(name: string): Promise<string | undefined> {
    return (await unlessMissing(this.#docker.getVolume(name).inspect()))?.Mountpoint;
  }

  /** Makes an empty volume; resolves with where its content is. */
  async createVolume(name: string): Promise<string> {
    await answer(this.#docker.createVolume({ Name: name }));
    return (await answer(this.#docker.getVolume(name).inspect())).Mountpoint;
  }

  /** Nothing happens if there is none. */
  async removeVolume(name: string): Promise<void> {
    await unlessMissing(this.#docker.getVolume(name).remove());
  }

  /** The names of all volumes with a name that begins like that. */
  async volumes(prefix: string): Promise<string[]> {
    const { Volumes } = await answer(this.#docker.listVolumes({ filters: { name: [prefix] } }));
    return (Volumes ?? []).map(({ Name }) => Name).filter((name) => name.startsWith(prefix));
  }

  /** The directory where the engine keeps everything, as a path on its machine. */
  async rootDir(): Promise<string> {
    return (await answer<{ DockerRootDir: string }>(this.#docker.info())).DockerRootDir;
  }
}

/** The same, undefined if what it was about does not exist. */
async function unlessMissing<T>(request: Promise<T>): Promise<T | undefined> {
  try {
    return await answer(request);
  } catch (error) {
    if (error instanceof EngineError && error.status === MISSING) return undefined;
    throw error;
  }
}
