// What went wrong, by reason, and what happened, newest first.

import { ago, clock, count } from "/format.js";
import { Badge, Empty, Panel, Table, html } from "/parts.js";

export const Failures = ({ data: { failures } }) => failures.length === 0
  ? html`<${Empty} what="Nothing failed" why="Every lost peer, refused message and empty mesh would be counted here with its reason." />`
  : html`
    <${Panel} title="Failures" note="nothing is dropped in silence">
      <${Table} rows=${[...failures].sort((a, b) => b.last - a.last)} columns=${[
        ["Reason", (one) => html`<${Badge} kind="bad">${one.reason}<//>`],
        ["Count", (one) => count(one.count), "num"],
        ["What it means", (one) => one.text],
        ["Last", (one) => ago(one.last)],
      ]} />
    <//>`;

export const Log = ({ data: { log } }) => html`
  <${Panel} title="Log" note="newest first"><${LogList} log=${log} /><//>`;

export const LogList = ({ log }) => log.length === 0
  ? html`<${Empty} what="Nothing happened yet" why="Stages write here when they act." />`
  : html`
    <ol class="log">${[...log].reverse().map((line) => html`
      <li><time>${clock(line.time)}</time><${Badge}>${line.stage}<//><span>${line.text}</span></li>`)}
    </ol>`;
