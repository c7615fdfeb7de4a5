// Paid answers with their lineage: who moved them, what is verbatim, how the fee was split.

import { open, percent, sum } from "/format.js";
import { Badge, Bar, Empty, Fact, Id, Money, Owner, Panel, html } from "/parts.js";

export function Answers({ data: { answers, jobs } }) {
  if (answers.length === 0) {
    const why = jobs.length ? "No model has been asked yet; each paid answer is its own pot."
      : "There is no job yet, so there is no model to ask.";
    return html`<${Empty} what="No answers yet" why=${why} command="openledger chat MODEL 'a question'" />`;
  }
  return [...answers].reverse().map((answer) => html`<${Answer} key=${answer.receipt} answer=${answer} />`);
}

const Answer = ({ answer }) => html`
  <${Panel} title=${answer.prompt} note=${html`<${Money} value=${answer.fee} /> <${Id} value=${answer.receipt} />`}>
    <p class="muted">Model <${Fact} value=${answer.model} />, adapter <${Fact} value=${answer.adapter} />${answer.lineage.map((parent) => html` from <${Fact} value=${parent} />`)}</p>
    <div class="split">
      <blockquote class="adapter"><h3>With the adapter</h3><p>${highlight(answer.text, answer.spans)}</p></blockquote>
      <blockquote><h3>The base alone</h3><p>${answer.base_text}</p></blockquote>
    </div>
    <h3>Records that moved it</h3>
    ${answer.records.length ? html`<${Records} records=${answer.records} />`
      : html`<p class="muted">None above the threshold: the contributors' part goes to the treasury.</p>`}
    <h3>How the fee was split</h3>
    <${Split} split=${answer.split} />
  <//>`;

// Mark each verbatim span where it occurs; the title names whose record it is.
export function highlight(text, spans) {
  const found = spans
    .map((span) => ({ ...span, at: text.indexOf(span.text) }))
    .filter((span) => span.at >= 0)
    .sort((a, b) => a.at - b.at);
  const parts = [];
  let end = 0;
  for (const span of found) {
    if (span.at < end) continue;
    parts.push(text.slice(end, span.at), html`<mark title="verbatim from owner #${span.owner}">${span.text}</mark>`);
    end = span.at + span.text.length;
  }
  return [...parts, text.slice(end)];
}

function Records({ records }) {
  const most = Math.max(...records.map((record) => Math.abs(record.score)), 1);
  return html`<div class="shares">${records.map((record) => html`
    <div class="share">
      <div class="who"><${Owner} index=${record.owner} /> <${Badge}>${record.datanet}<//></div>
      <${Bar} percent=${(Math.abs(record.score) / most) * 100} kind="gold" />
      <div class="num">${record.score.toLocaleString("en")}</div>
      <div class="why">“${record.text}”</div>
    </div>`)}</div>`;
}

function Split({ split }) {
  const total = sum(Object.values(split));
  if (total === 0n) return html`<p class="muted">Not split yet: the host has not claimed its voucher.</p>`;
  return html`
    <div class="stackbar">${Object.entries(split).map(([who, amount]) => html`
      <i class="part-${who}" style=${{ width: `${percent(amount, total)}%` }} title="${who}: ${open(amount)} OPEN"></i>`)}</div>
    <ul class="legend">${Object.entries(split).map(([who, amount]) => html`
      <li><i class="part-${who}"></i>${who} <b>${open(amount, 6)}</b></li>`)}</ul>`;
}
