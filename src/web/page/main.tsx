/** The page: one program in the browser for all views. */
import "./style/base.css";
import "./style/parts.css";
import "./style/views.css";
import "./style/log.css";
import { render } from "preact";
import { App } from "./app.js";
import icon from "./icon.svg";
import { follow, signIn } from "./state.js";

const link = document.createElement("link");
link.rel = "icon";
link.href = icon;
document.head.append(link);

follow();
render(<App />, document.getElementById("app")!);
void signIn();
