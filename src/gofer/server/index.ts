// What the monitor needs of the Gofer's process side.

export {
  defaultView,
  ETC_SECRETS,
  type RootView,
  USER_SECRETS,
  type ViewEntry,
  type ViewMount,
} from "./default-view.ts";
export { GoferServer } from "./server.ts";
