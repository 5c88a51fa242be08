// What a shape is. The application and the page both ask here, because neither can trust what the other end sends.

/** The board is this wide and this high, in units of its own. */
export const WIDTH = 800;
export const HEIGHT = 500;

/** A longer line is drawn as several shapes. */
export const MOST_POINTS = 500;

/**
 * A line as it was drawn: `id` is its own, `color` like `#1a2b3c`, and `points` the whole numbers x, y, x, y, … of 1
 * to 500 points on the board.
 *
 * @returns {boolean} whether the value is a shape
 */
export function isShape(value) {
  return (
    typeof value === "object" &&
    value !== null &&
    isText(value.id, /^[\w-]{1,36}$/) &&
    isText(value.color, /^#[0-9a-f]{6}$/i) &&
    Array.isArray(value.points) &&
    value.points.length >= 2 &&
    value.points.length <= 2 * MOST_POINTS &&
    value.points.length % 2 === 0 &&
    value.points.every((number, index) => isWithin(number, index % 2 === 0 ? WIDTH : HEIGHT))
  );
}

function isText(value, form) {
  return typeof value === "string" && form.test(value);
}

function isWithin(number, most) {
  return Number.isInteger(number) && number >= 0 && number <= most;
}
