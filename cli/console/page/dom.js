// Owns making and changing elements. Whatever comes from elsewhere becomes text, never HTML. Runs in the browser.

/** Return a new element. A child is an element or a text. */
export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

export const byId = (id) => document.getElementById(id);

/** Have an element hold a text; an unchanged one is left alone, so that what is selected stays so. */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

export function setClass(element, name) {
  if (element.className !== name) element.className = name;
}

/** Have `parent` hold one element for each item, in their order: made once, then only updated. */
export function keep(parent, items, keyOf, create, update) {
  const known = new Map();
  for (const child of parent.children) known.set(child.dataset.key, child);
  items.forEach((item, at) => {
    const key = String(keyOf(item));
    let element = known.get(key);
    if (!element) {
      element = create(item);
      element.dataset.key = key;
    }
    known.delete(key);
    if (parent.children[at] !== element) parent.insertBefore(element, parent.children[at] || null);
    update(element, item);
  });
  for (const gone of known.values()) gone.remove();
}
