// Datanets with their shards.

import { count } from "/format.js";
import { Badge, Bar, Empty, Fact, Id, Owner, Panel, Table, html } from "/parts.js";

export function Datanets({ data: { datanets } }) {
  if (datanets.length === 0) {
    return html`<${Empty} what="No Datanets" command="openledger datanet create NAME --class open --licence LICENCE"
      why="None is registered on this network's chain yet. A Datanet is a named data set of one domain with many owners." />`;
  }
  return datanets.map((datanet) => html`
    <${Panel} title=${datanet.name} note=${html`<${Badge}>${datanet.data_class}<//> ${datanet.licence} <${Id} value=${datanet.id} /> founded by <${Id} value=${datanet.founder} />`}>
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
