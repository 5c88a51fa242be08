// Small helpers for the document. Text goes in as text alone: nothing on this page makes markup of what it was sent.

/** A new element with properties and children; a child that is a string becomes text. */
export function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

/** The values of a form's named controls; a checkbox is true or false. */
export function valuesOf(form) {
  const values = {};
  for (const control of form.elements) {
    if (control.name) {
      values[control.name] = control.type === "checkbox" ? control.checked : control.value;
    }
  }
  return values;
}

/** Shows the labels with `data-field` in `form` that are named, and hides the others. */
export function showFields(form, names) {
  for (const field of form.querySelectorAll("[data-field]")) {
    const wanted = names.includes(field.dataset.field);
    field.hidden = !wanted;
    // What cannot be seen must not keep a form from being sent.
    for (const control of field.querySelectorAll("input, select, textarea")) {
      control.disabled = !wanted;
    }
  }
}

/** Fills a select with `{name, label}` items. */
export function fillSelect(select, items) {
  select.replaceChildren(...items.map(({ name, label }) => element("option", { value: name }, label)));
}

/** Copies a text and says so on the button for a moment. */
export async function copy(button, text) {
  const label = button.textContent;
  const said = await navigator.clipboard.writeText(text).then(
    () => "Copied",
    () => "Not allowed",
  );
  button.textContent = said;
  setTimeout(() => (button.textContent = label), 1500);
}

/** The time of day with milliseconds. */
export function clock(time) {
  const pad = (number, length) => String(number).padStart(length, "0");
  const date = new Date(time);
  const parts = [date.getHours(), date.getMinutes(), date.getSeconds()].map((part) => pad(part, 2));
  return `${parts.join(":")}.${pad(date.getMilliseconds(), 3)}`;
}

/**
 * A list that shows the newest items, at most `limit`. Items are put into the document once for each picture that the
 * browser draws, however many come; the list stays at its end if it was there.
 */
export class BoundedList {
  #list;
  #limit;
  #render;
  #waiting = [];
  #scheduled = false;

  /**
   * @param {HTMLElement} list
   * @param {number} limit
   * @param {(item: any) => HTMLElement} render
   */
  constructor(list, limit, render) {
    this.#list = list;
    this.#limit = limit;
    this.#render = render;
  }

  add(item) {
    this.#waiting.push(item);
    if (this.#waiting.length > this.#limit) {
      this.#waiting.shift();
    }
    if (!this.#scheduled) {
      this.#scheduled = true;
      requestAnimationFrame(() => this.#flush());
    }
  }

  /** Shows these items and no others. */
  replace(items) {
    this.#waiting = [];
    this.#list.replaceChildren(...items.slice(-this.#limit).map(this.#render));
    this.#list.scrollTop = this.#list.scrollHeight;
  }

  #flush() {
    this.#scheduled = false;
    const list = this.#list;
    const follows = list.scrollHeight - list.scrollTop - list.clientHeight < 8;
    list.append(...this.#waiting.map(this.#render));
    this.#waiting = [];
    while (list.childElementCount > this.#limit) {
      list.firstElementChild.remove();
    }
    if (follows) {
      list.scrollTop = list.scrollHeight;
    }
  }
}
