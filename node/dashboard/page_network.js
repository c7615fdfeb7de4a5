// Peers, and Datanets with their shards.

import { ago, count } from "/format.js";
import { Badge, Bar, Empty, Fact, Id, Owner, Panel, Table, html } from "/parts.js";

export function Peers({ data: { peers, status } }) {
  if (peers.length === 0) {
    return html`<${Empty} what="No peers yet" command="openledger doctor"
      why="The node dials the seeds of ${status.network}; each failed dial is listed under Failures with its reason." />`;
  }
  const others = peers.filter((peer) => peer.peer_id !== status.peer_id);
  const connected = others.filter((peer) => peer.connected);
  return html`
    <${Panel} title="Peers" note="${connected.length} of ${others.length} connected">
      <${Table} rows=${peers} mark=${(peer) => (peer.connected ? "" : "lost")} columns=${[
        ["Peer", (peer) => html`<${Id} value=${peer.peer_id} />`],
        ["State", (peer) => peer.peer_id === status.peer_id ? html`<${Badge}>this node<//>`
          : peer.connected ? html`<${Badge} kind="good">connected<//>`
          : html`<${Badge} kind="bad">${peer.lost_reason ?? "not connected"}<//>`],
        ["Roles", (peer) => peer.roles.join(", ") || "–"],
        ["Operator", (peer) => peer.operator ? html`<${Owner} address=${peer.operator} />` : "–"],
        ["Latency", (peer) => (peer.latency_ms == null ? "–" : `${peer.latency_ms} ms`), "num"],
        ["Seen", (peer) => (peer.last_seen == null ? "–" : ago(peer.last_seen))],
        ["Agent", (peer) => peer.agent || "–"],
      ]} />
    <//>`;
}

export function Datanets({ data: { datanets } }) {
  if (datanets.length === 0) {
    return html`<${Empty} what="No Datanets" command="openledger datanet create NAME --class open --licence LICENCE"
      why="None is registered on this network's chain yet. A Datanet is a named data set of one domain with many owners." />`;
  }
  return datanets.map((datanet) => html`
    <${Panel} title=${datanet.name} note=${html`<${Badge}>${datanet.data_class}<//> ${datanet.licence} <${Id} value=${datanet.id} />`}>
      ${datanet.shards.length ? html`<${Shards} shards=${datanet.shards} />`
        : html`<${Empty} what="No shards" why="Nobody has committed records to ${datanet.name} yet."
            command="openledger datanet add ${datanet.name} FILE.jsonl" />`}
    <//>`);
}

const Shards = ({ shards }) => html`
  <${Table} rows=${shards} columns=${[
    ["Owner", (shard) => html`<${Owner} address=${shard.owner} index=${shard.owner_index} />`],
    ["Records", (shard) => count(shard.records), "num"],
    ["Reserved", (shard) => count(shard.reserved), "num"],
    ["Yielded to earlier owners", (shard) => html`
      <span class="inline"><${Bar} percent=${shard.yielded_ppm / 1e4} kind="warnfill" /> ${(shard.yielded_ppm / 1e4).toFixed(1)} %</span>`],
    ["State", (shard) => shard.revealed ? html`<${Badge} kind="good">revealed<//>` : html`<${Badge} kind="live">committed<//>`],
    ["Block", (shard) => count(shard.block), "num"],
    ["Why", (shard) => html`<${Fact} value=${shard.reason} />`],
  ]} />`;
