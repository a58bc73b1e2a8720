// Owns drawing figures over time. Pure but for its own elements. Runs in the browser.

import { make, setText } from "/dom.js";

const SVG = "http://www.w3.org/2000/svg";
const WIDTH = 300;
const HEIGHT = 56;

function svg(tag, attributes = {}) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  return element;
}

/** Return the path of a line. `length`: of the whole time, whose end is at the right. A gap is left where nobody knows. */
function pathOf(values, length, top, height) {
  let path = "";
  let isOn = false;
  values.forEach((value, at) => {
    if (value === null || value === undefined) { isOn = false; return; }
    const x = (WIDTH * (length - values.length + at)) / Math.max(1, length - 1);
    const y = height - 1.5 - ((height - 4) * Math.min(value, top)) / top;
    // A point between two gaps is seen as well.
    path += isOn ? `L${x.toFixed(1)} ${y.toFixed(1)}` : `M${x.toFixed(1)} ${y.toFixed(1)}h0.6`;
    isOn = true;
  });
  return path;
}

const known = (values) => values.filter((value) => value !== null && value !== undefined);

/** Return the next round number above a value: 1, 2, 5, 10, ... */
export function roundAbove(value) {
  if (!(value > 0)) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 5, 10].map((factor) => factor * power).find((step) => step >= value);
}

/** A chart with title, its value now and its bounds. `lines`: [{field, name, tone}]; `say`: says a value. */
export class Chart {
  constructor(title, lines, say) {
    this.lines = lines;
    this.say = say;
    this.title = title;
    this.values = lines.map(({ tone }) => make("span", { class: `value ${tone}` }));
    this.now = make("span", { class: "chart-now" }, ...this.values);
    this.top = make("span", { class: "chart-top muted", "aria-hidden": "true" });
    this.at = make("span", { class: "chart-at muted", "aria-hidden": "true" });
    this.image = svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img" });
    this.image.append(svg("line", { class: "axis", x1: 0, x2: WIDTH, y1: HEIGHT - 0.5, y2: HEIGHT - 0.5 }));
    this.paths = lines.map(({ tone }) => svg("path", { class: `line ${tone}` }));
    this.cursor = svg("line", { class: "cursor", y1: 0, y2: HEIGHT, visibility: "hidden" });
    this.image.append(...this.paths, this.cursor);
    this.element = make("figure", { class: "chart panel" },
      make("figcaption", {}, make("span", {}, title), this.now), this.image,
      make("p", { class: "chart-foot muted", "aria-hidden": "true" }, make("span"), this.at, this.top));
    this.from = this.element.querySelector(".chart-foot").firstChild;
    this.image.addEventListener("pointermove", (event) => this.point(event));
    this.image.addEventListener("pointerleave", () => this.unpoint());
  }

  /** Draw. `series`: by field, the newest last; `live`: the values now; `step`: seconds between values; `length`: of
   *  the time that is shown. */
  draw(series, live, step, length) {
    this.series = series;
    this.step = step;
    this.length = length;
    const peak = Math.max(0, ...this.lines.flatMap(({ field }) => known([...(series[field] || []).slice(-length), live[field]])));
    const top = roundAbove(peak);
    this.lines.forEach(({ field }, at) => this.paths[at].setAttribute("d", pathOf((series[field] || []).slice(-length), length, top, HEIGHT)));
    this.lines.forEach(({ field }, at) => setText(this.values[at], this.say(live[field])));
    const minutes = Math.round((length * step) / 60);
    setText(this.from, minutes >= 60 ? "1 h ago" : `${minutes} min ago`);
    setText(this.top, `peak ${this.say(peak)}`);
    const words = this.lines.map(({ field, name }) => `${name} ${this.say(live[field])}`.trim()).join(", ");
    this.image.setAttribute("aria-label", `${this.title}: now ${words}; at most ${this.say(peak)} in the last ${minutes} minutes`);
  }

  point(event) {
    if (!this.series) return;
    const box = this.image.getBoundingClientRect();
    const place = Math.min(1, Math.max(0, (event.clientX - box.left) / box.width));
    const back = Math.round((1 - place) * (this.length - 1));
    const x = (WIDTH * (this.length - 1 - back)) / Math.max(1, this.length - 1);
    for (const name of ["x1", "x2"]) this.cursor.setAttribute(name, x.toFixed(1));
    this.cursor.setAttribute("visibility", "visible");
    const then = new Date(Date.now() - back * this.step * 1000).toTimeString().slice(0, 5);
    const values = this.lines.map(({ field }) => this.say((this.series[field] || []).at(-1 - back)));
    setText(this.at, `${then}: ${values.join(" · ")}`);
  }

  unpoint() {
    this.cursor.setAttribute("visibility", "hidden");
    setText(this.at, "");
  }
}

/** A line without words, for a row of a table. */
export class Spark {
  constructor() {
    this.path = svg("path", { class: "line plain" });
    this.element = svg("svg", { class: "spark", viewBox: `0 0 ${WIDTH} 40`, preserveAspectRatio: "none", "aria-hidden": "true" });
    this.element.append(this.path);
  }

  draw(values, length) {
    const top = Math.max(1, ...known(values)) * 1.05;
    this.path.setAttribute("d", pathOf(values, length, top, 40));
  }
}
