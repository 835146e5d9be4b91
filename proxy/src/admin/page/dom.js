// Elements. Data becomes text and attributes, never markup.

export const byId = (id) => document.getElementById(id);

// An element with attributes and children; a child that is no element becomes text.
export function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

// Changes the text only where it differs: what a user has selected stays so.
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

// A list of terms: [term, description, note of how it is].
export function terms(list, pairs) {
  const now = pairs.map(([term]) => term).join('\n');
  if (list.dataset.terms !== now) {
    list.dataset.terms = now;
    list.replaceChildren(
      ...pairs.map(([term]) => element('div', {}, element('dt', {}, term), element('dd'))),
    );
  }
  pairs.forEach(([, description, mood = ''], place) => {
    const shown = list.children[place].lastElementChild;
    setText(shown, description);
    shown.className = mood;
  });
}
