// Attribution (who moved the model, and what it earns), epochs and claims.

import { count, many, open, percent, short, sum } from "/format.js";
import { Component } from "/vendor/preact.mjs";
import { Badge, Bar, Empty, Fact, Id, Money, Owner, Panel, State, Table, html } from "/parts.js";

export function Attribution({ data: { attribution, jobs } }) {
  if (attribution.length === 0) {
    return html`<${Empty} what="No attribution yet" why=${notYet(jobs)} />`;
  }
  const pots = [...new Set(attribution.map(potOf))];
  return pots.map((pot) => {
    const rows = attribution.filter((row) => potOf(row) === pot);
    const total = sum(rows.map((row) => row.share));
    return html`
      <${Panel} title=${potTitle(rows[0], jobs)} note=${html`shares of <${Money} value=${total} />`}>
        <div class="shares">${[...rows].sort(byShare).map((row) => html`<${Share} row=${row} total=${total} />`)}</div>
      <//>`;
  });
}

// One pot may be divided over several epochs.
const potOf = (row) => `${row.epoch}/${row.pot}`;

const potTitle = (row, jobs) => row.kind === "answer" ? `Answer ${short(row.job)}`
  : `${jobs.find((job) => job.id === row.job)?.name ?? short(row.job)}, epoch ${row.epoch}`;

const byShare = (a, b) => (BigInt(b.share) > BigInt(a.share) ? 1 : BigInt(b.share) < BigInt(a.share) ? -1 : 0);

const Share = ({ row, total }) => html`
  <div class="share">
    <div class="who">${row.owner ? html`<${Owner} address=${row.owner} index=${row.owner_index} />` : ""}
      <${Badge}>${row.role}<//></div>
    <${Bar} percent=${percent(row.share, total)} kind=${row.role === "contributor" ? "gold" : "steel"} />
    <div class="num"><b><${Money} value=${row.share} /></b> <span class="muted">${percent(row.share, total).toFixed(2)} %</span></div>
    <div class="why">${row.reason} ${row.role === "contributor" && html`<span class="muted">${detail(row)}</span>`}</div>
  </div>`;

const detail = (row) =>
  `${many(row.records, "record")}, influence ${count(row.influence)}, ${(row.yielded_ppm / 1e4).toFixed(1)} % yielded`;

function notYet(jobs) {
  if (jobs.length === 0) return "There is no job whose records could be scored.";
  return `${jobs[0].name} is ${jobs[0].state}: influence is computed after the last round, from rows that are committed before the reserved queries open.`;
}

function stateOf(epoch) {
  if (epoch.on_trial) return html`<${Badge} kind="bad">before a jury<//>`;
  return epoch.active ? html`<${Badge} kind="good">active<//>` : html`<${Badge} kind="live">challenge window<//>`;
}

export const Epochs = ({ data }) => html`
  <${Panel} title="Epochs" note="one merkle-sum root each">
    ${data.epochs.length === 0 ? html`<${Empty} what="No epoch yet" why=${noEpoch(data)} />` : html`
    <${Table} rows=${[...data.epochs].reverse()} columns=${[
      ["Epoch", (e) => e.epoch, "num"],
      ["State", stateOf],
      ["Total", (e) => html`<${Money} value=${e.total} />`, "num"],
      ["Leaves", (e) => count(e.leaves), "num"],
      ["Root", (e) => html`<${Id} value=${e.root} />`],
      ["Signers", (e) => html`<span class="stack">${e.signers.map((one) => html`<${Owner} address=${one} />`)}</span>`],
      ["Transaction", (e) => html`<${Id} value=${e.tx} />`],
      ["Gas", (e) => (e.gas == null ? "–" : count(e.gas)), "num"],
      ["Block", (e) => count(e.block), "num"],
    ]} />`}
  <//>
  <${Panel} title="Where is my money?" note="task, verdict, share, root, claimable or why not yet">
    <${Explain} key=${`${data.epochs.length}/${data.claims.length}/${data.status.claimable_open}`} />
  <//>
  <${Panel} title="Claims">
    ${data.claims.length === 0 ? html`<${Empty} what="Nothing claimed yet" command="openledger claim"
      why=${data.status.claimable_open === "0" ? "Nothing is claimable at the moment." : `${open(data.status.claimable_open)} OPEN can be claimed now.`} />` : html`
    <${Table} rows=${[...data.claims].reverse()} columns=${[
      ["Owner", (c) => `#${c.owner_index}`],
      ["Amount", (c) => html`<${Money} value=${c.amount} />`, "num"],
      ["Transaction", (c) => html`<${Id} value=${c.tx} />`],
      ["Block", (c) => count(c.block), "num"],
    ]} />`}
  <//>`;

const noEpoch = ({ attribution }) => attribution.length === 0
  ? "Nothing has been attributed, so there is nothing to commit."
  : "Shares are known; the aggregator quorum has not committed their root yet.";

// The node's own explanation, asked again whenever epochs or claims change.
class Explain extends Component {
  async componentDidMount() {
    const answer = await fetch("/api/v1/claim/explain");
    this.setState({ ok: answer.ok, value: await answer.json() });
  }

  render(_, { ok, value }) {
    if (value === undefined) return html`<p class="muted">Asking the node…</p>`;
    if (!ok) return html`<p class="reason">${value.text}</p>`;
    return html`
      <p><b>${value.reason}</b></p>
      <h3>Your shares</h3>
      ${value.shares.length === 0 ? html`<${Empty} what="No share yet"
          why="You earn when a record of yours moves a model or an answer, or when work of yours is verified." />` : html`
      <${Table} rows=${value.shares} columns=${[
        ["Epoch", (s) => s.epoch, "num"],
        ["Pot", (s) => html`${s.kind} <${Id} value=${s.job} />`],
        ["Role", (s) => s.role],
        ["Share", (s) => html`<${Money} value=${s.share} />`, "num"],
        ["Why", (s) => s.reason],
      ]} />`}
      ${value.units.length > 0 && html`<h3>Your units</h3>
      <${Table} rows=${value.units} columns=${[
        ["Unit", (u) => html`<${Id} value=${u.unit} />`],
        ["State", (u) => html`<${State} value=${u.state} />`],
        ["Why", (u) => html`<${Fact} value=${u.reason} />`],
      ]} />`}`;
  }
}
