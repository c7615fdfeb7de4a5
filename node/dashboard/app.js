// The shell: navigation, banners, theme. Each page is a function of the snapshot.

import { render } from "/vendor/preact.mjs";
import { count } from "/format.js";
import { Answers } from "/page_answers.js";
import { Failures, Log } from "/page_log.js";
import { Attribution, Epochs } from "/page_money.js";
import { Datanets } from "/page_network.js";
import { hasPayout, Overview } from "/page_overview.js";
import { Peers } from "/page_peers.js";
import { Rules } from "/page_rules.js";
import { Rounds, Verdicts } from "/page_training.js";
import { Badge, html } from "/parts.js";
import { complete, follow, state } from "/store.js";

// id: [title, page, size shown beside it]
const PAGES = {
  overview: ["Overview", Overview, () => null],
  peers: ["Peers", Peers, (data) => data.peers.filter((peer) => peer.connected).length],
  datanets: ["Datanets", Datanets, (data) => data.datanets.length],
  rounds: ["Rounds", Rounds, (data) => data.jobs.reduce((n, job) => n + job.rounds.length, 0)],
  verdicts: ["Verdicts", Verdicts, (data) => data.verdicts.length],
  attribution: ["Attribution", Attribution, (data) => data.attribution.length],
  epochs: ["Epochs & claims", Epochs, (data) => data.epochs.length],
  answers: ["Answers", Answers, (data) => data.answers.length],
  rules: ["Rules & votes", Rules, () => null],
  failures: ["Failures", Failures, (data) => data.failures.reduce((n, one) => n + one.count, 0)],
  log: ["Log", Log, () => null],
};

const current = () => (location.hash.slice(1) in PAGES ? location.hash.slice(1) : "overview");

function App() {
  const { data, link } = state;
  const ready = complete();
  const [title, Page] = PAGES[current()];
  return html`
    <aside>
      <div class="brand"><img src="/favicon.svg" alt="" width="28" height="28" /> <b>OpenLedger</b>
        <button class="theme" title="Light or dark" aria-label="Light or dark" onClick=${flipTheme}>◐</button></div>
      <nav>${Object.entries(PAGES).map(([id, [name, , size]]) => html`
        <a href="#${id}" aria-current=${id === current() ? "page" : undefined}>
          ${name}${ready && size(data) ? html`<span class="size">${count(size(data))}</span>` : ""}</a>`)}
      </nav>
      ${ready && html`<div class="whoami">
        <span class="light ${link}"></span>${data.status.network}<br />
        ${data.status.roles.map((role) => html`<${Badge}>${role}<//> `)}</div>`}
    </aside>
    <main>
      <${Banners} data=${data} link=${link} />
      ${ready ? html`<h1>${title}</h1><${Page} data=${data} />`
        : html`<p class="muted">Waiting for the node's first answer…</p>`}
    </main>`;
}

const Banners = ({ data, link }) => html`
  ${link === "lost" && html`<${Banner} kind="bad" text="The node does not answer; what you see is its last state."
    command="openledger run" />`}
  ${link === "refused" && html`<${Banner} kind="bad" text="The node refused this page; open a fresh link."
    command="openledger dashboard" />`}
  ${data.fault && html`<${Banner} kind="bad" text="${data.fault.code}: ${data.fault.text}" />`}
  ${data.status && !data.status.backed_up && html`<${Banner} kind="warn"
    text="Not backed up: if this machine is lost, so are its keys." command="openledger backup FILE" />`}
  ${data.status && !hasPayout(data.status) && html`<${Banner} kind="warn"
    text="No payout address: what this node earns waits on chain." command="openledger join NETWORK --payout ADDRESS" />`}`;

const Banner = ({ kind, text, command }) => html`
  <div class="banner ${kind}" role="status"><span>${text}</span>${command && html`<code>${command}</code>`}</div>`;

function flipTheme() {
  const dark = getComputedStyle(document.documentElement).colorScheme === "dark"
    || (!document.documentElement.dataset.theme && matchMedia("(prefers-color-scheme: dark)").matches);
  setTheme(dark ? "light" : "dark");
}

function setTheme(name) {
  document.documentElement.dataset.theme = name;
  localStorage.setItem("theme", name);
  document.dispatchEvent(new Event("themechange"));
}

function draw() {
  document.title = `${PAGES[current()][0]} · OpenLedger node`;
  render(html`<${App} />`, document.body);
}

const chosen = localStorage.getItem("theme");
if (chosen) document.documentElement.dataset.theme = chosen;
document.querySelector("noscript")?.remove();
addEventListener("hashchange", () => {
  scrollTo(0, 0);
  draw();
  document.querySelector("nav [aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });
});
setInterval(draw, 1000); // ages ("4 s ago") move on
follow(draw);
draw();
