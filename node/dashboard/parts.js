// The pieces that every page is made of.

import htm from "/vendor/htm.mjs";
import { h } from "/vendor/preact.mjs";
import { exactly, hue, open, short } from "/format.js";

export const html = htm.bind(h);

export const Panel = ({ title, note, children }) => html`
  <section class="panel">
    <header><h2>${title}</h2>${note && html`<span class="note">${note}</span>`}</header>
    ${children}
  </section>`;

// Why there is nothing here, and what would change that.
export const Empty = ({ what, why, command }) => html`
  <div class="empty">
    <strong>${what}</strong>
    <p>${why}</p>
    ${command && html`<code>${command}</code>`}
  </div>`;

// columns: [heading, cell(row), class?]; on a narrow screen each row becomes a card.
export const Table = ({ columns, rows, mark }) => html`
  <div class="scroll">
    <table>
      <thead><tr>${columns.map(([head, , kind]) => html`<th class=${kind}>${head}</th>`)}</tr></thead>
      <tbody>${rows.map((row) => html`
        <tr class=${mark && mark(row)}>${columns.map(([head, cell, kind]) => html`
          <td class=${kind} data-label=${head}><span>${cell(row)}</span></td>`)}
        </tr>`)}
      </tbody>
    </table>
  </div>`;

export const Badge = ({ kind, children }) => html`<span class="badge ${kind ?? ""}">${children}</span>`;

const GOOD = ["accepted", "merged", "settled"];
const BAD = ["failed", "void", "expired", "handed-back"];

export const State = ({ value }) => html`
  <${Badge} kind=${GOOD.includes(value) ? "good" : BAD.includes(value) ? "bad" : "live"}>${value}<//>`;

export const Id = ({ value }) => value
  ? html`<button class="id" title="${value} (click to copy)"
      onClick=${() => navigator.clipboard.writeText(value)}>${short(value)}</button>`
  : html`<span class="muted">none</span>`;

// By address, by index on chain, or both.
export const Owner = ({ address, index }) => html`
  <span class="owner">
    <i style=${{ background: `hsl(${hue(`${address ?? index}`)} 55% 55%)` }}></i>
    ${address && html`<${Id} value=${address} />`}
    ${index != null && html`<span class="muted">#${index}</span>`}
  </span>`;

// A hash as a button that copies it, any other text as it is.
export const Fact = ({ value }) =>
  /^(0x)?[0-9a-f]{40,}$/i.test(value) ? html`<${Id} value=${value} />` : value || html`<span class="muted">–</span>`;

export const Money = ({ value }) => html`
  <span class="money" title=${exactly(value)}>${open(value)} <small>OPEN</small></span>`;

export const Figure = ({ label, children, note }) => html`
  <div class="figure"><span class="label">${label}</span><span class="value">${children}</span>
    <span class="note">${note}</span></div>`;

export const Bar = ({ percent, kind, color }) => html`
  <span class="bar"><i class=${kind ?? ""}
    style=${{ width: `${Math.min(100, Math.max(percent > 0 ? 0.7 : 0, percent))}%`, background: color }}>
  </i></span>`;
