// Peers: can others dial this node, who is there, how far away, and why the others are not.

import { ago, count, many, short } from "/format.js";
import { Badge, Empty, Id, Money, Owner, Panel, Table, html } from "/parts.js";

export function Peers({ data: { peers, status } }) {
  const others = peers.filter((peer) => peer.peer_id !== status.peer_id);
  const connected = others.filter((peer) => peer.connected);
  return html`
    <${Reach} reach=${status.reachability} />
    <${Refusals} refused=${status.refused_by} />
    <${Newer} wire=${status.wire} />
    ${peers.length === 0
      ? html`<${Empty} what="No peers yet" command="openledger doctor"
          why="The node dials the seeds of ${status.network}; each failed dial is listed under Failures with its reason." />`
      : html`
        <${Panel} title="Links" note="the farther out, the slower; dashed: through a relay; grey: gone">
          <${Graph} peers=${others} />
        <//>
        <${Panel} title="Peers" note="${connected.length} of ${others.length} connected">
          <${PeerTable} peers=${peers} own=${status.peer_id} />
          <${Shards} shards=${status.shards} />
        <//>`}`;
}

const VERDICTS = { public: "good", relayed: "live", "outbound-only": "live", unknown: "bad" };

const Reach = ({ reach }) => html`
  <${Panel} title="Reachability" note=${reach.observed && `seen from ${reach.observed}`}>
    <p><${Badge} kind=${VERDICTS[reach.verdict]}>${reach.verdict}<//> ${reach.why}</p>
    ${reach.advice && html`<p class="muted">${reach.advice}</p>`}
    ${reach.addrs.map((addr) => html`<p><${Id} value=${addr} /></p>`)}
  <//>`;

const Refusals = ({ refused }) => refused.map((one) => html`
  <div class="banner bad" role="status"><span>${
    `Refused by ${many(one.peers, "peer")}: ${one.text} ${one.remedy}`}</span></div>`);

const Newer = ({ wire }) => wire.newer > 0 && html`
  <div class="banner warn" role="status"><span>${count(wire.newer)} of ${count(wire.peers)} peers are newer
    than wire version ${wire.version}: update openledger-node.</span></div>`;

const Shards = ({ shards: { provided, records, lookups } }) => html`
  <p class="muted">Provides ${many(provided, "shard")} and keeps ${many(records, "record")} of who else provides one.
    ${Object.keys(lookups).length > 0 && `Searches for holders: ${
      Object.entries(lookups).map(([outcome, times]) => `${count(times)} ${outcome}`).join(", ")}.`}</p>`;

function PeerTable({ peers, own }) {
  return html`<${Table} rows=${peers} mark=${(peer) => (peer.connected ? "" : "lost")} columns=${[
    ["Peer", (peer) => html`<${Id} value=${peer.peer_id} />`],
    ["State", (peer) => html`<${Connection} peer=${peer} own=${own} />`],
    ["Way", (peer) => WAYS[peer.direction] ?? "–"],
    ["Latency", (peer) => (peer.latency_ms == null ? "–" : `${peer.latency_ms} ms`), "num"],
    ["Roles", (peer) => peer.roles.join(", ") || "–"],
    ["Operator", (peer) => peer.operator ? html`<${Owner} address=${peer.operator} />` : "–"],
    ["Stake", (peer) => html`<${Money} value=${peer.stake} />`, "num"],
    ["Faults", (peer) => peer.faults || "–", "num"],
    ["Reach", (peer) => peer.reach ?? "–"],
    ["Agent", (peer) => peer.wire == null ? peer.agent || "–" : `${peer.agent}, wire ${peer.wire}`],
    ["Seen", (peer) => (peer.last_seen == null ? "–" : ago(peer.last_seen))],
  ]} />`;
}

const WAYS = { in: "it dialled", out: "we dialled", both: "both dialled" };

function Connection({ peer, own }) {
  if (peer.peer_id === own) return html`<${Badge}>this node<//>`;
  if (peer.banned_seconds) return html`<${Badge} kind="bad">banned for ${peer.banned_seconds} s<//>`;
  if (peer.refused) return html`<${Badge} kind="bad">refused: ${peer.refused}<//>`;
  if (!peer.connected) return html`<${Badge} kind="bad">${peer.lost_reason ?? "never met"}<//>`;
  return html`<${Badge} kind="good">${peer.relayed ? "relayed" : "connected"}<//>`;
}

// This node in the middle; a slower peer stands farther out, one that is gone at the rim.
const SIZE = 300;
const RIM = 132;

function place(peer, index, total) {
  const angle = (2 * Math.PI * index) / total - Math.PI / 2;
  const latency = Math.min(1000, Math.max(1, peer.latency_ms ?? 1000));
  const radius = peer.connected ? 48 + (Math.log10(latency) / 3) * 60 : RIM;
  return { peer, x: radius * 1.9 * Math.cos(angle), y: radius * Math.sin(angle) };
}

function Graph({ peers }) {
  const spots = peers.map((peer, index) => place(peer, index, peers.length));
  return html`
    <svg class="links" viewBox="${-SIZE} ${-SIZE / 2} ${2 * SIZE} ${SIZE}" role="img"
      aria-label="${many(spots.filter((s) => s.peer.connected).length, "link")} of this node">
      ${spots.filter((spot) => spot.peer.connected).map(Line)}
      <circle class="self" r="9" />
      ${spots.map(Spot)}
    </svg>`;
}

const Line = ({ peer, x, y }) => html`
  <line x1="0" y1="0" x2=${x} y2=${y} class="${peer.relayed ? "relayed" : ""} ${peer.refused ? "refused" : ""}">
    <title>${WAYS[peer.direction] ?? "linked"}</title></line>`;

const Spot = ({ peer, x, y }) => html`
  <g transform="translate(${x} ${y})" class=${peer.refused ? "refused" : peer.connected ? "there" : "gone"}>
    <circle r="6" /><text y="18">${short(peer.peer_id)}</text>
    <title>${peer.roles.join(", ")} ${peer.agent} ${peer.lost_reason ?? ""}</title>
  </g>`;
