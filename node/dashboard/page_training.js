// Rounds with live loss, and the verdicts on them.

import { bytes, count, many, nats, ratio, short } from "/format.js";
import { LossChart, lossSeries } from "/chart.js";
import { Badge, Empty, Fact, Id, Money, Owner, Panel, State, Table, html } from "/parts.js";
import { NoJobs } from "/page_overview.js";

export const Rounds = ({ data: { jobs } }) =>
  jobs.length === 0 ? html`<${NoJobs} />` : jobs.map((job) => html`<${Job} key=${job.id} job=${job} />`);

const Job = ({ job }) => html`
  <${Panel} title=${job.name} note=${html`<${State} value=${job.state} /> <${Id} value=${job.id} />`}>
    <p class="muted">${job.base}; pot <${Money} value=${job.escrow} />, <${Money} value=${job.unit_pay} /> a verified unit
      ${job.model && html`, model <${Id} value=${job.model} />, adapter <${Id} value=${job.adapter} />`}</p>
    ${job.reason && html`<p class="reason">${job.reason}</p>`}
    <div class="split">
      <div><h3>Training loss <small>nats a token, by step</small></h3>
        ${lossSeries(job).series.length ? html`<${LossChart} job=${job} />`
          : html`<${Empty} what="No step yet" why=${waiting(job)} />`}</div>
      <div><h3>Held-out loss <small>nats a token</small></h3><${HeldOut} job=${job} /></div>
    </div>
    ${job.rounds.map((round) => html`<${Round} key=${round.round} round=${round} />`)}
  <//>`;

const waiting = (job) => job.rounds.length === 0
  ? `The job is ${job.state}: its first round opens once shards are revealed and a beacon has assigned the units.`
  : "The units are assigned; workers report their loss after every step they commit.";

function HeldOut({ job }) {
  const names = Object.keys(job.loss.before);
  if (names.length === 0) {
    return html`<${Empty} what="Not measured yet" why="It is measured on the reserved records, which open after the last round." />`;
  }
  return html`
    <${Table} rows=${names} columns=${[
      ["Datanet", (name) => name],
      ["Before", (name) => nats(job.loss.before[name]), "num"],
      ...job.rounds.map((round) => [`Round ${round.round}`,
        (name) => (name in round.loss ? nats(round.loss[name]) : "–"), "num"]),
      ["Change", (name) => html`<${Change} before=${job.loss.before[name]} after=${job.loss.after[name]} />`, "num"],
    ]} />`;
}

function Change({ before, after }) {
  if (after === undefined) return "–";
  const change = ((after - before) / before) * 100;
  return html`<span class=${change < 0 ? "goodtext" : "badtext"}>${change > 0 ? "+" : "−"}${Math.abs(change).toFixed(1)} %</span>`;
}

const Round = ({ round }) => html`
  <details open>
    <summary>Round ${round.round} <${State} value=${round.state} />
      <span class="muted">${many(round.units.length, "unit")}, ${bytes(round.bytes)} exchanged</span></summary>
    <${Table} rows=${round.units} columns=${[
      ["Unit", (unit) => html`<${Id} value=${unit.unit} />`],
      ["Worker", (unit) => html`<${Owner} address=${unit.worker} />`],
      ["State", (unit) => html`<${State} value=${unit.state} />`],
      ["Steps", (unit) => unit.losses_micro.length, "num"],
      ["Last loss", (unit) => (unit.losses_micro.length ? nats(unit.losses_micro.at(-1)) : "–"), "num"],
      ["Tokens", (unit) => count(unit.tokens), "num"],
      ["Why", (unit) => html`<${Fact} value=${unit.reason} />`],
    ]} />
  </details>`;

export function Verdicts({ data: { verdicts, slashes, jobs } }) {
  return html`
    <${Panel} title="Verdicts" note="distance of the re-computed gradient, against the tolerance">
      ${verdicts.length === 0 ? html`<${Empty} what="No verdict yet" why=${noVerdict(jobs)} />` : html`
      <${Table} rows=${[...verdicts].reverse()} mark=${(v) => (v.finding === "ok" ? "" : "caught")} columns=${[
        ["Finding", (v) => html`${v.kind === "ruling" && "ruling "}<${Badge} kind=${v.finding === "ok" ? "good" : "bad"}>${FINDINGS[v.finding] ?? v.finding}<//>`],
        ["Unit", (v) => html`<${Id} value=${v.unit} />`],
        ["Step", (v) => v.step, "num"],
        ["Worker", (v) => html`<${Owner} address=${v.worker} />`],
        ["Verifier", (v) => html`<${Owner} address=${v.verifier} />`],
        ["Distance against tolerance", (v) => html`<${Distance} verdict=${v} />`],
        ["Optimiser norm", (v) => ratio(v.optimiser_ppb), "num"],
        ["Block", (v) => count(v.block), "num"],
      ]} />`}
    <//>
    <${Panel} title="Slashes">
      ${slashes.length === 0 ? html`<${Empty} what="Nobody was slashed" why="A stake is cut only after a failed check was upheld." />` : html`
      <${Table} rows=${slashes} columns=${[
        ["Operator", (s) => html`<${Owner} address=${s.operator} />`],
        ["Unit", (s) => html`<${Id} value=${s.unit} />`],
        ["Lost", (s) => html`<${Money} value=${s.amount} />`, "num"],
        ["Reporter", (s) => html`<${Owner} address=${s.reporter} />`],
        ["Evidence", (s) => html`<${Fact} value=${s.evidence} />`],
        ["Transaction", (s) => html`<${Id} value=${s.tx} />`],
      ]} />`}
    <//>`;
}

// The checks of the design, section 6.
const FINDINGS = {
  A: "A: next state differs",
  B: "B: gradient differs",
  C: "C: adapter differs",
  D: "D: start or bound broken",
  "no-reveal": "step not revealed",
  "no-data": "data not to be had",
};

function noVerdict(jobs) {
  const units = jobs.flatMap((job) => job.rounds.flatMap((round) => round.units));
  if (units.length === 0) return "No unit has been assigned; verifiers are drawn after a unit is anchored on chain.";
  return `${many(units.length, "unit")} under way (${short(units[0].unit)} is ${units[0].state}); a beacon later than the anchor draws the steps to check.`;
}

// A logarithmic scale from 10^-9 to 1, with a mark where the tolerance lies.
function Distance({ verdict }) {
  const place = (ppb) => (Math.log10(Math.max(1, Math.min(ppb, 1e9))) / 9) * 100;
  const bad = verdict.distance_ppb > verdict.tolerance_ppb;
  return html`
    <span class="distance" title="${ratio(verdict.distance_ppb)} against a tolerance of ${ratio(verdict.tolerance_ppb)}">
      <span class="scale"><i class=${bad ? "bad" : "good"} style=${{ width: `${place(verdict.distance_ppb)}%` }}></i>
        <b style=${{ left: `${place(verdict.tolerance_ppb)}%` }}></b></span>
      <span class="num">${ratio(verdict.distance_ppb)} <small>of ${ratio(verdict.tolerance_ppb)}</small></span>
    </span>`;
}
