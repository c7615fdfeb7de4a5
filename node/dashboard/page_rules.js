// The rules in force and to come, this node's votes, and all proposals; asked again while the page is open.

import { open, short } from "/format.js";
import { Component } from "/vendor/preact.mjs";
import { Badge, Empty, Figure, Id, Money, Owner, Panel, Table, html } from "/parts.js";

const ASK_MS = 5000;
const KINDS = { active: "live", succeeded: "good", queued: "good", executed: "good", defeated: "bad", canceled: "bad" };

const when = (seconds) => new Date(seconds * 1000).toISOString().slice(0, 19).replace("T", " ") + " UTC";

export class Rules extends Component {
  async ask() {
    const answer = await fetch("/api/v1/govern");
    this.setState({ ok: answer.ok, value: await answer.json() });
  }

  componentDidMount() {
    this.ask();
    this.timer = setInterval(() => this.ask(), ASK_MS);
  }

  componentWillUnmount() {
    clearInterval(this.timer);
  }

  render(_, { ok, value }) {
    if (value === undefined) return html`<p class="muted">Asking the node…</p>`;
    if (!ok) return html`<p class="reason">${value.text}</p>`;
    return html`
      <${InForce} value=${value} />
      <${Votes} value=${value} />
      <${Proposals} proposals=${value.proposals} />`;
  }
}

const InForce = ({ value: { version, rules, versions, paused_until } }) => html`
  <${Panel} title="In force" note="version ${version}">
    ${paused_until && html`<p class="reason">The guardian has paused new epochs and channels until ${when(paused_until)}.</p>`}
    ${versions.slice(version).map((next) => html`<p><b>Version ${next.version}</b> from ${when(next.start)}: ${changes(rules, next.rules)}</p>`)}
    <${Table} rows=${Object.entries(rules)} columns=${[
      ["Rule", ([name]) => name],
      ["Value", ([, number]) => String(number), "num"],
    ]} />
  <//>`;

const changes = (now, next) =>
  Object.keys(next).filter((name) => next[name] !== now[name]).map((name) => `${name} ${now[name]} → ${next[name]}`).join(", ");

const Votes = ({ value: { operator, delegate, gopen, votes, governor } }) => html`
  <${Panel} title="Your votes" note=${html`operator <${Owner} address=${operator} />`}>
    <${Figure} label="Wrapped">${open(gopen)} gOPEN<//>
    <${Figure} label="To vote with" note=${gopen !== "0" && votes === "0" ? html`delegated to <${Id} value=${delegate} />` : ""}>${open(votes)} gOPEN<//>
    <p class="muted">A proposal needs ${open(governor.threshold)} gOPEN and costs <${Money} value=${governor.fee} />;
      the quorum is ${open(governor.quorum)} gOPEN.</p>
  <//>`;

const Proposals = ({ proposals }) => html`
  <${Panel} title="Proposals">
    ${proposals.length === 0 ? html`<${Empty} what="No proposal yet" command="openledger govern propose NAME=VALUE --why REASON"
      why="The rules of the genesis are in force." />` : html`
    <${Table} rows=${[...proposals].reverse()} columns=${[
      ["Proposal", (p) => html`<code>${short(p.proposal)}</code>`],
      ["State", (p) => html`<${Badge} kind=${KINDS[p.state]}>${p.state}<//>`],
      ["Does", (p) => p.calls.join("; ")],
      ["Why", (p) => p.text],
      ["For", (p) => open(p.votes.for), "num"],
      ["Against", (p) => open(p.votes.against), "num"],
      ["Vote ends", (p) => when(p.ends)],
    ]} />`}
  <//>`;
