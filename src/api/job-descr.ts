/**
 * What a client wants built: descriptions of jobs as plain values, and as they travel.
 *
 * Who builds is not asked here whether it can: that a commit is a full hash, or that a push target
 * has a tag, is checked by the worker, which knows best. Checked is what no later program could
 * make sense of.
 */
import type { Pointer } from "capnp-es";
import { type DetachedPointer, RpcError } from "../rpc/index.js";
import { ABILITY } from "./able-queue.js";
import { byteTextLength, getByteText, setByteText } from "./byte-text.js";
import { writeTexts } from "./calls.js";
import {
  DockerBuild_Dockerfile_Which,
  JobDescr_Action_Which,
  type DockerBuild as WireDockerBuild,
  JobDescr as WireJobDescr,
} from "./generated/ocluster.js";
import { isLocal } from "./local-context.js";

export interface JobDescr {
  readonly action: Action;
  /** Jobs with the same hint like to run on the same worker; "" says nothing. */
  readonly cacheHint: string;
  /** The build context; without one it is empty. */
  readonly source?: Source | undefined;
  readonly secrets: readonly Secret[];
}

/** Commits of a Git repository; or a local directory, as local-context.ts has it. */
export interface Source {
  readonly repository: string;
  /** Full hashes. The first is checked out, the others are merged into it. */
  readonly commits: readonly string[];
}

/** A secret value by the name under which the build asks for it. */
export interface Secret {
  readonly id: string;
  /** A byte string: `toBytes` of ../text/bytes.ts gives the bytes. */
  readonly value: string;
}

export type Action = DockerBuild | OBuilderBuild | CustomBuild;

export interface DockerBuild {
  readonly kind: "docker";
  /** The text itself (a byte string), or the path of the file in the build context. */
  readonly dockerfile: { readonly contents: string } | { readonly path: string };
  readonly push?: Push | undefined;
  readonly buildArgs: readonly string[];
  readonly squash: boolean;
  readonly buildkit: boolean;
  /** Keep `.git` in the build context. */
  readonly includeGit: boolean;
}

/** Where to push an image that was built. */
export interface Push {
  /** `REPO:TAG` */
  readonly target: string;
  readonly auth?: { readonly user: string; readonly password: string } | undefined;
}

export interface OBuilderBuild {
  readonly kind: "obuilder";
  /** An S-expression, as a byte string. */
  readonly spec: string;
}

/** Something that worker and client have agreed upon. */
export interface CustomBuild {
  readonly kind: "custom";
  /** What it is. */
  readonly name: string;
  /** When read, it is valid as long as the description it came from. Written, it is copied. */
  readonly payload: Pointer;
}

/** Reads a description. Throws an `RpcError` (failed) that says what is wrong with it. */
export function readJobDescr(pointer: DetachedPointer): JobDescr {
  return readDescr(pointer.as(WireJobDescr));
}

/** The same of a description that is part of something else. */
export function readDescr(descr: WireJobDescr): JobDescr {
  const { repository } = descr;
  const commits = descr.commits.toArray();
  return {
    action: readAction(descr),
    cacheHint: descr.cacheHint,
    source: repository === "" && commits.length === 0 ? undefined : { repository, commits },
    secrets: descr.secrets.map((secret) => ({ id: secret.id, value: getByteText(secret, 1) })),
  };
}

/** The cache hint of a description that is otherwise not looked into. */
export function cacheHintOf(pointer: DetachedPointer): string {
  return pointer.as(WireJobDescr).cacheHint;
}

/**
 * The abilities without which a worker cannot run the job, of a description that is otherwise not
 * looked into. Of custom jobs nothing is known. Few sets are ever returned, always as the same
 * lists.
 */
export function needsOf(pointer: DetachedPointer): readonly string[] {
  const descr = pointer.as(WireJobDescr);
  const needs = isLocal(descr) ? NEEDS_WITH_CONTEXT : NEEDS;
  switch (descr.action.which()) {
    case JobDescr_Action_Which.DOCKER_BUILD:
      return needs.docker;
    case JobDescr_Action_Which.OBUILDER:
      return needs.obuilder;
    default:
      return needs.nothing;
  }
}

/** The same of a description as a value, whose source is no local directory. */
export function needsOfAction({ kind }: Action): readonly string[] {
  return kind === "custom" ? NEEDS.nothing : NEEDS[kind];
}

const NEEDS = {
  docker: [ABILITY.docker],
  obuilder: [ABILITY.obuilder],
  nothing: [],
} as const;

const NEEDS_WITH_CONTEXT = {
  docker: [ABILITY.docker, ABILITY.contexts],
  obuilder: [ABILITY.obuilder, ABILITY.contexts],
  nothing: [ABILITY.contexts],
} as const;

/** Its size, without reading it. */
export function cacheHintBytes(pointer: DetachedPointer): number {
  return byteTextLength(pointer.as(WireJobDescr), 1);
}

/** Fills a description in. */
export function writeJobDescr(descr: WireJobDescr, job: JobDescr): void {
  const { action, cacheHint, source, secrets } = job;
  switch (action.kind) {
    case "docker":
      writeDocker(descr.action._initDockerBuild(), action);
      break;
    case "obuilder":
      setByteText(descr.action._initObuilder(), 0, action.spec);
      break;
    case "custom": {
      const custom = descr.action._initCustom();
      custom.kind = action.name;
      custom.payload = action.payload;
    }
  }
  descr.cacheHint = cacheHint;
  if (source) {
    descr.repository = source.repository;
    writeTexts(descr._initCommits(source.commits.length), source.commits);
  }
  const list = descr._initSecrets(secrets.length);
  for (const [index, { id, value }] of secrets.entries()) {
    const secret = list.get(index);
    secret.id = id;
    setByteText(secret, 1, value);
  }
}

function readAction({ action }: WireJobDescr): Action {
  const which = action.which();
  switch (which) {
    case JobDescr_Action_Which.DOCKER_BUILD:
      return readDocker(action.dockerBuild);
    case JobDescr_Action_Which.OBUILDER:
      return { kind: "obuilder", spec: getByteText(action.obuilder, 0) };
    case JobDescr_Action_Which.CUSTOM:
      return { kind: "custom", name: action.custom.kind, payload: action.custom.payload };
    default:
      throw new RpcError("failed", `Unknown action type ${which satisfies never}`);
  }
}

function readDocker(build: WireDockerBuild): DockerBuild {
  const { squash, buildkit, includeGit } = build;
  return {
    kind: "docker",
    dockerfile: readDockerfile(build),
    push: readPush(build),
    buildArgs: build.buildArgs.toArray(),
    squash,
    buildkit,
    includeGit,
  };
}

function readDockerfile({ dockerfile }: WireDockerBuild): DockerBuild["dockerfile"] {
  const which = dockerfile.which();
  switch (which) {
    case DockerBuild_Dockerfile_Which.CONTENTS:
      return { contents: getByteText(dockerfile, 0) };
    case DockerBuild_Dockerfile_Which.PATH:
      return { path: dockerfile.path };
    default:
      throw new RpcError("failed", `Unknown Dockerfile type ${which satisfies never}`);
  }
}

function readPush({
  pushTarget: target,
  pushUser: user,
  pushPassword: password,
}: WireDockerBuild): Push | undefined {
  if ((user === "") !== (password === "")) {
    throw new RpcError(
      "failed",
      "push-user and push-password must be given (or not given) together",
    );
  }
  if (target === "") {
    if (user === "") return undefined;
    throw new RpcError("failed", "push-user and push-password must be given with push-target");
  }
  return { target, auth: user === "" ? undefined : { user, password } };
}

function writeDocker(build: WireDockerBuild, docker: DockerBuild): void {
  const { dockerfile, push, buildArgs, squash, buildkit, includeGit } = docker;
  if ("contents" in dockerfile) {
    build.dockerfile.contents = ""; // chooses between the two
    setByteText(build.dockerfile, 0, dockerfile.contents);
  } else {
    build.dockerfile.path = dockerfile.path;
  }
  build.pushTarget = push?.target ?? "";
  build.pushUser = push?.auth?.user ?? "";
  build.pushPassword = push?.auth?.password ?? "";
  writeTexts(build._initBuildArgs(buildArgs.length), buildArgs);
  build.squash = squash;
  build.buildkit = buildkit;
  build.includeGit = includeGit;
}
