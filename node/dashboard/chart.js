// Training loss over the steps of all rounds: one line a worker, drawn by uPlot on a canvas.

import { Component, createRef } from "/vendor/preact.mjs";
import uPlot from "/vendor/uPlot.js";
import { hue, short } from "/format.js";
import { html } from "/parts.js";

// {x, series}: x counts steps over rounds; a worker has null where it did not train.
export function lossSeries(job) {
  const steps = Math.max(0, ...job.rounds.flatMap((r) => r.units.map((u) => u.losses_micro.length)));
  const x = Array.from({ length: steps * job.rounds.length }, (_, i) => i + 1);
  const workers = [...new Set(job.rounds.flatMap((r) => r.units.map((u) => u.worker)))].sort();
  const series = workers.map((worker) => ({
    worker,
    values: job.rounds.flatMap((round) => {
      const unit = round.units.find((u) => u.worker === worker);
      return Array.from({ length: steps }, (_, i) =>
        unit?.losses_micro[i] === undefined ? null : unit.losses_micro[i] / 1e6);
    }),
  }));
  return { x, steps, series: series.filter((s) => s.values.some((v) => v !== null)) };
}

export class LossChart extends Component {
  box = createRef();

  componentDidMount() {
    this.theme = matchMedia("(prefers-color-scheme: dark)");
    this.redraw = () => this.draw();
    this.theme.addEventListener("change", this.redraw);
    document.addEventListener("themechange", this.redraw);
    this.observer = new ResizeObserver(this.redraw);
    this.observer.observe(this.box.current);
  }

  componentDidUpdate() {
    this.draw();
  }

  componentWillUnmount() {
    this.theme.removeEventListener("change", this.redraw);
    document.removeEventListener("themechange", this.redraw);
    this.observer.disconnect();
    this.plot?.destroy();
  }

  draw() {
    const box = this.box.current;
    const { x, steps, series } = lossSeries(this.props.job);
    const key = JSON.stringify([box.clientWidth, getComputedStyle(box).color, x.length, series]);
    if (key === this.drawn) return;
    this.drawn = key;
    this.plot?.destroy();
    this.plot = new uPlot(options(box, this.props.job, steps, series), [x, ...series.map((s) => s.values)], box);
  }

  render() {
    return html`<div class="chart" ref=${this.box} role="img"
      aria-label="Training loss by step"></div>`;
  }
}

function options(box, job, steps, series) {
  const style = getComputedStyle(box);
  const axis = { stroke: style.color, grid: { stroke: style.borderColor, width: 1 }, ticks: { show: false } };
  return {
    width: box.clientWidth,
    height: 260,
    scales: { x: { time: false } },
    cursor: { points: { size: 6 } },
    axes: [
      { ...axis, incrs: [1, 2, 4, 8, 16, 32, 64], values: (_, at) => at.map((v) => `${v}`) },
      { ...axis, size: 50, values: (_, at) => at.map((v) => v.toFixed(2)) },
    ],
    series: [
      { label: "step", value: (_, v) => (v == null ? "–" : stepName(v, job, steps)) },
      ...series.map((s) => ({
        label: short(s.worker),
        stroke: `hsl(${hue(s.worker)} 60% 55%)`,
        width: 2,
        points: { show: true, size: 5 },
        value: (_, v) => (v == null ? "–" : v.toFixed(3)),
      })),
    ],
  };
}

const stepName = (x, job, steps) =>
  `${((x - 1) % steps) + 1} of round ${job.rounds[Math.floor((x - 1) / steps)].round}`;
