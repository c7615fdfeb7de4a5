// Overview: what this node is, what it does now and why, and what it earned.

import { ago, count, nats } from "/format.js";
import { Badge, Empty, Figure, Id, Money, Panel, State, html } from "/parts.js";
import { LogList } from "/page_log.js";

export function Overview({ data }) {
  const { status, jobs, log } = data;
  return html`
    <div class="duty"><span class="pulse"></span><p>${status.duty}</p></div>
    <div class="figures">
      <${Figure} label="Claimable" note=${claimNote(data)}>
        <${Money} value=${status.claimable_open} /><//>
      <${Figure} label="Claimed so far" note="paid to the payout address">
        <${Money} value=${status.claimed_open} /><//>
      <${Figure} label="Stake" note=${stakeNote(status)}><${Money} value=${status.stake} /><//>
      <${Figure} label="Balance" note="on chain"><${Money} value=${status.balance_open} /><//>
    </div>
    <div class="columns">
      <${Panel} title="Jobs">${jobs.length ? jobs.map(JobLine) : html`<${NoJobs} />`}<//>
      <${Panel} title="This node"><${Facts} status=${status} /><//>
      <${Panel} title="Gossip mesh" note="peers a topic"><${Mesh} status=${status} /><//>
      <${Panel} title="Latest" note="newest first"><${LogList} log=${log.slice(-6)} /><//>
    </div>`;
}

function claimNote({ status, epochs }) {
  if (status.claimable_open !== "0") return "openledger claim";
  if (epochs.length === 0) return "no epoch has been committed yet";
  if (epochs.some((epoch) => epoch.on_trial)) return "an epoch is before a jury";
  return epochs.some((epoch) => !epoch.active) ? "a challenge window is open" : "nothing is due";
}

const stakeNote = (status) => status.stake !== "0" ? "locked on the operator key"
  : status.roles.every((role) => role === "contributor") ? "a contributor needs none" : "no stake: no work is drawn";

// The zero address stands for "none" on chain.
export const hasPayout = (status) => !/^(0x)?0*$/.test(status.payout);

export const NoJobs = () => html`<${Empty} what="No jobs" command="openledger job submit RECIPE.toml"
  why="Nobody has posted a job on this network yet. A job names a base model, Datanets and a pot." />`;

function JobLine(job) {
  const done = job.rounds.filter((round) => round.state === "merged").length;
  const moves = Object.keys(job.loss.after).map((name) =>
    html`<li><span>${name}</span><span class="num">${nats(job.loss.before[name])} → <b>${nats(job.loss.after[name])}</b></span></li>`);
  return html`
    <a class="jobline" href="#rounds">
      <div><b>${job.name}</b> <${State} value=${job.state} /></div>
      <div class="muted">${job.base}, ${done} of ${job.rounds.length} rounds merged, pot <${Money} value=${job.escrow} /></div>
      <ul class="pairs">${moves}</ul>
      ${job.reason && html`<p class="reason">${job.reason}</p>`}
    </a>`;
}

const Facts = ({ status }) => html`
  <dl>
    <dt>Peer id</dt><dd><${Id} value=${status.peer_id} /></dd>
    <dt>Operator</dt><dd><${Id} value=${status.operator} />
      ${status.owner_index == null ? html` <span class="muted">not registered yet</span>` : ` #${status.owner_index}`}</dd>
    <dt>Payout</dt><dd>${hasPayout(status) ? html`<${Id} value=${status.payout} />` : html`<span class="warn">none chosen</span>`}</dd>
    <dt>Network</dt><dd>${status.network} <${Id} value=${status.network_id} /></dd>
    <dt>Chain</dt><dd>${status.chain_id}, block ${count(status.head.number)}, ${ago(status.head.time)}</dd>
    <dt>Reachable</dt><dd><a href="#peers">${status.reachability.verdict}</a></dd>
    <dt>Version</dt><dd>${status.agent}</dd>
    <dt>Keys</dt><dd>${status.backed_up ? "backed up" : html`<span class="warn">not backed up</span>`}</dd>
  </dl>`;

function Mesh({ status }) {
  const topics = Object.entries(status.mesh);
  if (topics.length === 0) {
    return html`<${Empty} what="No topic joined" why="The node has not met a peer yet: it dials the seeds of ${status.network}." />`;
  }
  return html`
    <ul class="pairs">${topics.map(([topic, peers]) => html`
      <li><span>${topic}</span>${peers > 0 ? html`<span class="num">${peers}</span>`
        : html`<${Badge} kind="bad">0 peers<//>`}</li>`)}
    </ul>
    ${status.published_to_zero > 0 && html`
      <p class="reason">${count(status.published_to_zero)} messages reached no peer.</p>`}`;
}
