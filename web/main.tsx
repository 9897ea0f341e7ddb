import "uplot/dist/uPlot.min.css";
import "./style/tokens.css";
import "./style/base.css";
import "./style/parts.css";
import "./style/tables.css";
import { render } from "preact";
import { Page } from "./page.tsx";
import { startFleet } from "./state/fleet.ts";
import { startLive } from "./state/live.ts";
import { startRuns } from "./state/runs.ts";
import { applyTheme } from "./state/theme.ts";

applyTheme();
startLive();
startRuns();
startFleet();
// A module's code runs when the page has been read to its end, with the style that it holds.
const root = document.getElementById("page");
if (root !== null) render(<Page />, root);
