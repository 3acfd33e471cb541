// Elements from data. Nothing here reads HTML, so no text from outside can become markup.

export function el(tag, attributes, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (typeof value === 'function') node.addEventListener(name, value);
    else if (value !== false && value != null) node.setAttribute(name, value === true ? '' : value);
  }
  node.append(...children.flat(2).filter((child) => child != null && child !== false).map((child) => (child instanceof Node ? child : String(child))));
  return node;
}

const euros = new Intl.NumberFormat('en-IE', { style: 'currency', currency: 'EUR' });
export const money = (cents) => (cents === 0 ? 'free' : euros.format(cents / 100));
export const sum = (cents) => euros.format(cents / 100);

const days = new Intl.DateTimeFormat('en-GB', { day: 'numeric', month: 'long', year: 'numeric', timeZone: 'UTC' });
export const day = (date) => days.format(new Date(`${date}T00:00Z`));

// say tells people who do not see the page what has happened.
export function say(text) {
  document.getElementById('status').textContent = text;
}
