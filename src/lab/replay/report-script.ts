// The script inside a report: draws the time-sequence graphs on canvases, and zooms them. Runs in a browser, alone:
// a string to us. `DATA` is what report.ts put in front.

export const REPORT_SCRIPT = `
"use strict";
const SYN = 2, FIN = 1, RST = 4;
const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const human = (n) => n >= 1e6 ? (n / 1e6).toFixed(n >= 1e7 ? 0 : 1) + " MB" : n >= 1e3 ? (n / 1e3).toFixed(n >= 1e4 ? 0 : 1) + " kB" : Math.round(n) + " B";
const seconds = (s) => Math.abs(s) >= 1 ? s.toFixed(2) + " s" : (s * 1e3).toFixed(Math.abs(s) < 0.01 ? 2 : 0) + " ms";
const row = (r) => ({ t: r[0], from: r[1], flags: r[2], at: r[3], length: r[4], ack: r[5], window: r[6], repeat: r[7], sacks: r[8] || [], wscale: r[9] });

/** What one direction looks like: segments of its sender, acknowledgments and windows of its receiver. */
function trace(rows, sender) {
  const all = rows.map(row);
  const syn = all.filter((s) => s.flags & SYN);
  const isScaled = syn.length > 1 ? syn.every((s) => s.wscale !== null) : false;
  const shift = (from) => { const s = syn.find((x) => x.from === from); return isScaled && s ? s.wscale : 0; };
  const up = shift(1 - sender);
  const data = [], acks = [], windows = [], sacks = [], flight = [];
  let max = 0, acked = 0;
  for (const s of all) {
    if (s.from === sender) {
      if (s.length > 0 || s.flags & (SYN | FIN | RST)) data.push(s);
      if (s.length > 0) max = Math.max(max, s.at + s.length);
    } else if (s.ack >= 0) {
      acked = Math.max(acked, s.ack);
      acks.push([s.t, s.ack]);
      windows.push([s.t, s.ack + s.window * Math.pow(2, s.flags & SYN ? 0 : up)]);
      for (let i = 0; i + 1 < s.sacks.length; i += 2) sacks.push([s.t, s.sacks[i], s.sacks[i + 1]]);
    }
    flight.push([s.t, Math.max(0, max - acked)]);
  }
  // A segment that was sent again later had been lost, or was taken for lost.
  for (const s of data) {
    if (!s.repeat) continue;
    const first = data.find((o) => !o.repeat && o.t <= s.t && o.at < s.at + s.length && s.at < o.at + o.length);
    if (first) first.isLost = true;
  }
  return { data, acks, windows, sacks, flight, max, end: all.length ? all[all.length - 1].t : 0 };
}

class Plot {
  constructor(canvas, view, draw, height, unit, title) {
    Object.assign(this, { canvas, view, draw, unit, title });
    canvas.style.height = height + "px";
    view.plots.push(this);
    const at = (e) => this.toX(e.offsetX);
    canvas.addEventListener("wheel", (e) => {
      e.preventDefault();
      const k = Math.exp(e.deltaY * 0.0015), x = at(e);
      view.from = x - (x - view.from) * k;
      view.to = x + (view.to - x) * k;
      view.paint();
    }, { passive: false });
    let drag = null;
    canvas.addEventListener("pointerdown", (e) => { drag = { x: e.offsetX, from: view.from, to: view.to }; canvas.setPointerCapture(e.pointerId); });
    canvas.addEventListener("pointerup", () => { drag = null; });
    canvas.addEventListener("pointermove", (e) => {
      if (!drag) return;
      const d = (e.offsetX - drag.x) / this.width * (drag.to - drag.from);
      view.from = drag.from - d; view.to = drag.to - d; view.paint();
    });
    canvas.addEventListener("dblclick", () => view.reset());
  }
  toX(px) { return this.view.from + (px - 56) / this.width * (this.view.to - this.view.from); }
  x(t) { return 56 + (t - this.view.from) / (this.view.to - this.view.from) * this.width; }
  y(v) { return this.bottom - (v - this.low) / (this.high - this.low || 1) * (this.bottom - 18); }
  paint() {
    const ratio = window.devicePixelRatio || 1, c = this.canvas, w = c.clientWidth, h = c.clientHeight;
    c.width = w * ratio; c.height = h * ratio;
    const g = this.g = c.getContext("2d");
    g.scale(ratio, ratio);
    g.font = "11px system-ui, sans-serif";
    this.width = w - 64; this.bottom = h - 18;
    [this.low, this.high] = this.range();
    g.strokeStyle = css("--line"); g.fillStyle = css("--dim"); g.lineWidth = 1;
    for (let i = 0; i <= 4; i++) {
      const v = this.low + (this.high - this.low) * i / 4, y = Math.round(this.y(v)) + 0.5;
      g.beginPath(); g.moveTo(56, y); g.lineTo(w - 8, y); g.stroke();
      g.textAlign = "right"; g.fillText(this.unit(v), 52, y + 4);
      const t = this.view.from + (this.view.to - this.view.from) * i / 4;
      g.textAlign = i === 4 ? "right" : i === 0 ? "left" : "center";
      g.fillText(seconds(t), 56 + this.width * i / 4, h - 4);
    }
    g.textAlign = "left"; g.fillStyle = css("--text"); g.fillText(this.title, 60, 12);
    g.save(); g.beginPath(); g.rect(56, 14, this.width, this.bottom - 14); g.clip();
    this.draw(this, g);
    g.restore();
  }
  range() {
    let low = Infinity, high = -Infinity;
    const see = (t, v) => { if (t >= this.view.from && t <= this.view.to) { low = Math.min(low, v); high = Math.max(high, v); } };
    this.draw(this, null, see);
    if (low > high) return [0, 1];
    const pad = (high - low) * 0.05 || 1;
    return [Math.max(0, low - pad), high + pad];
  }
  steps(points, color, width) {
    const g = this.g;
    g.strokeStyle = css(color); g.lineWidth = width || 1; g.beginPath();
    let last = null;
    for (const [t, v] of points) {
      const x = this.x(t);
      if (last === null) g.moveTo(x, this.y(v)); else { g.lineTo(x, this.y(last)); g.lineTo(x, this.y(v)); }
      last = v;
    }
    if (last !== null) g.lineTo(this.x(this.view.to), this.y(last));
    g.stroke();
  }
}

function sequence(t) {
  return (p, g, see) => {
    if (see) {
      for (const s of t.data) { see(s.t, Math.max(0, s.at)); see(s.t, s.at + s.length); }
      for (const a of t.acks) see(a[0], a[1]);
      return;
    }
    p.steps(t.windows, "--window");
    p.steps(t.acks, "--ack", 1.5);
    g.lineWidth = 3; g.strokeStyle = css("--sack");
    for (const [at, l, r] of t.sacks) { g.beginPath(); g.moveTo(p.x(at), p.y(l)); g.lineTo(p.x(at), p.y(r)); g.stroke(); }
    for (const s of t.data) {
      const x = p.x(s.t), a = p.y(Math.max(0, s.at)), b = p.y(s.at + s.length);
      g.strokeStyle = g.fillStyle = css(s.repeat ? "--again" : "--segment");
      g.lineWidth = s.repeat ? 2.5 : 1.5;
      g.beginPath(); g.moveTo(x, a); g.lineTo(x, Math.min(b, a - 2)); g.moveTo(x - 2.5, a); g.lineTo(x + 2.5, a); g.moveTo(x - 2.5, b); g.lineTo(x + 2.5, b); g.stroke();
      if (s.isLost) { g.strokeStyle = css("--again"); g.lineWidth = 1.5; const m = (a + b) / 2; g.beginPath(); g.moveTo(x - 4, m - 4); g.lineTo(x + 4, m + 4); g.moveTo(x + 4, m - 4); g.lineTo(x - 4, m + 4); g.stroke(); }
      const mark = s.flags & RST ? "R" : s.flags & SYN ? "S" : s.flags & FIN ? "F" : "";
      if (mark) g.fillText(mark, x + 4, b - 3);
    }
  };
}
const lines = (list) => (p, g, see) => {
  for (const [points, color] of list) { if (see) { see(p.view.from, 0); for (const q of points) see(q[0], q[1]); } else p.steps(points, color, 1.5); }
};

function show(c, box) {
  box.querySelector(".graphs").hidden = false;
  const view = { plots: [], paint() { for (const p of this.plots) p.paint(); } };
  const sender = () => Number(box.querySelector("select").value);
  let a, b;
  const end = () => Math.max(a.end, b.end, 1e-6);
  view.reset = () => { view.from = -0.02 * end(); view.to = 1.02 * end(); view.paint(); };
  const load = () => {
    a = trace(c.captured, sender()); b = trace(c.replayed, sender());
    view.plots.length = 0;
    const [p1, p2, p3, p4, p5] = [...box.querySelectorAll("canvas")].map((old) => { const n = old.cloneNode(); old.replaceWith(n); return n; });
    new Plot(p1, view, sequence(a), 300, human, "captured: bytes of the stream");
    new Plot(p2, view, sequence(b), 300, human, "replayed: bytes of the stream");
    new Plot(p3, view, lines([[a.flight, "--segment"]]), 110, human, "captured: bytes in flight");
    const isOurs = sender() !== c.played && c.samples.length > 0;
    const flight = isOurs ? c.samples.map((s) => [s[0], s[4]]) : b.flight;
    const list = [[flight, "--segment"]];
    if (isOurs) list.unshift([c.samples.map((s) => [s[0], s[1]]), "--cwnd"]);
    new Plot(p4, view, lines(list), 110, human, isOurs ? "replayed: congestion window, bytes in flight" : "replayed: bytes in flight");
    const rtt = isOurs ? c.samples.filter((s) => s[3] > 0).map((s) => [s[0], s[3] / 1e6]) : [];
    p5.hidden = rtt.length === 0;
    if (rtt.length > 0) new Plot(p5, view, lines([[rtt, "--ack"]]), 90, seconds, "replayed: smoothed round trip");
    view.reset();
  };
  box.querySelector("select").addEventListener("change", load);
  addEventListener("resize", () => view.paint());
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => view.paint());
  load();
}
for (const c of DATA) {
  const box = document.getElementById("c" + c.index);
  if (!box || c.captured.length === 0) continue;
  new IntersectionObserver((entries, self) => {
    if (!entries.some((e) => e.isIntersecting)) return;
    self.disconnect(); show(c, box);
  }).observe(box);
}
`;
