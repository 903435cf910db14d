/** What the build makes of files that are no code: the URL at which they are served. */
declare module "*.svg" {
  const url: string;
  export default url;
}

declare module "*.css";
