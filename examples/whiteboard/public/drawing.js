// The board on the page: an SVG element with a line for each shape, and what the pointer draws on it.

import { HEIGHT, MOST_POINTS, WIDTH } from "./shape.js";

export class Drawing {
  #svg;
  #lines = new Map();
  #current;

  /**
   * @param {SVGSVGElement} svg
   * @param {() => string} color what the next shape is drawn with
   * @param {(shape: object) => void} drawn takes each shape that the pointer has finished
   */
  constructor(svg, color, drawn) {
    this.#svg = svg;
    svg.addEventListener("pointerdown", (event) => {
      svg.setPointerCapture(event.pointerId);
      this.#current = { id: crypto.randomUUID(), color: color(), points: this.#point(event) };
      this.show(this.#current);
    });
    svg.addEventListener("pointermove", (event) => this.#current && this.#extend(event, drawn));
    for (const end of ["pointerup", "pointercancel"]) {
      svg.addEventListener(end, () => this.#finish(drawn));
    }
  }

  /** Shows a shape; one with the same id is replaced. */
  show({ id, color, points }) {
    let line = this.#lines.get(id);
    if (!line) {
      line = document.createElementNS("http://www.w3.org/2000/svg", "polyline");
      this.#lines.set(id, line);
      this.#svg.append(line);
    }
    line.setAttribute("stroke", color);
    // A line of one point would not be seen.
    line.setAttribute("points", (points.length === 2 ? [...points, ...points] : points).join(" "));
  }

  /** Takes all shapes away but those with these ids. */
  keepOnly(ids) {
    for (const [id, line] of this.#lines) {
      if (!ids.has(id) && id !== this.#current?.id) {
        line.remove();
        this.#lines.delete(id);
      }
    }
  }

  #extend(event, drawn) {
    const point = this.#point(event);
    if (this.#current.points.slice(-2).join() === point.join()) {
      return;
    }
    this.#current.points.push(...point);
    this.show(this.#current);
    if (this.#current.points.length === 2 * MOST_POINTS) {
      const { color } = this.#current;
      this.#finish(drawn);
      this.#current = { id: crypto.randomUUID(), color, points: point };
    }
  }

  #finish(drawn) {
    const shape = this.#current;
    this.#current = undefined;
    if (shape) {
      drawn(shape);
    }
  }

  /** Where the pointer is, in units of the board. */
  #point({ clientX, clientY }) {
    const { x, y } = new DOMPoint(clientX, clientY).matrixTransform(this.#svg.getScreenCTM().inverse());
    return [within(x, WIDTH), within(y, HEIGHT)];
  }
}

function within(number, most) {
  return Math.min(Math.max(Math.round(number), 0), most);
}
