import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { App } from "./App.tsx";
import "./style.css";

/** What the server that serves this page says of the service. */
interface Config {
  /** Where the service is, seen from this page. */
  readonly apiUrl: string;
}

async function config(): Promise<Config> {
  const answer = await fetch("./config.json", { cache: "no-store" });
  if (!answer.ok) throw new Error(`config.json: ${answer.status}`);
  return (await answer.json()) as Config;
}

const root = createRoot(document.getElementById("page") as HTMLElement);
try {
  const { apiUrl } = await config();
  root.render(<StrictMode><App apiUrl={new URL(apiUrl, location.href).href} /></StrictMode>);
} catch (error) {
  root.render(<main><p role="alert">This page does not know where the service is ({String(error)}). Whoever serves it has to give it config.json.</p></main>);
}
