// A table whose rows stay the same elements as long as they are about the same thing: neither the focus nor a selection
// is lost when newer numbers come.

import { element, setText } from './dom.js';

// Columns are { name, title, text(row) } or { name, title, make(row), update(node, row) }, and may be `number`,
// `sortable`, or have a `mood(row)`. `key(row)` says what a row is about. `onSort(name)` is told which column was chosen.
export class Table {
  #columns;
  #key;
  #body = element('tbody', { role: 'rowgroup' });
  #heads = new Map();
  #rows = new Map();
  #empty;

  constructor(host, { label, columns, key, empty, onSort }) {
    this.#columns = columns;
    this.#key = key;
    this.#empty = element('p', { class: 'muted' }, empty);
    const heads = element('tr', { role: 'row' }, ...columns.map((column) => this.#head(column, onSort)));
    const table = element(
      'table',
      { role: 'table' },
      element('caption', { class: 'hidden' }, label),
      element('thead', { role: 'rowgroup', class: onSort ? 'sorts' : '' }, heads),
      this.#body,
    );
    // Roles are said, as a phone shows rows as cards.
    // Who has no mouse scrolls it by the keyboard.
    const scroll = { class: 'scroll', tabindex: '0', role: 'region', 'aria-label': label };
    host.replaceChildren(element('div', scroll, table), this.#empty);
  }

  #head(column, onSort) {
    const head = element('th', { role: 'columnheader', scope: 'col', class: column.number ? 'number' : '' });
    if (onSort && column.sortable) {
      const button = element('button', { type: 'button', class: 'sort' }, column.title);
      button.addEventListener('click', () => onSort(column.name));
      head.append(button);
      this.#heads.set(column.name, head);
    } else {
      head.append(column.title);
    }
    return head;
  }

  // Shows by which column the rows are sorted.
  sorted(name, order) {
    for (const [column, head] of this.#heads) {
      if (column === name) head.setAttribute('aria-sort', order === 'asc' ? 'ascending' : 'descending');
      else head.removeAttribute('aria-sort');
    }
  }

  update(rows) {
    const focused = document.activeElement;
    const before = this.#rows;
    this.#rows = new Map();
    let next = this.#body.firstElementChild;
    for (const row of rows) {
      const key = this.#key(row);
      const shown = before.get(key) ?? this.#make(row);
      before.delete(key);
      this.#rows.set(key, shown);
      this.#fill(shown, row);
      if (shown === next) next = next.nextElementSibling;
      else this.#body.insertBefore(shown, next);
    }
    for (const gone of before.values()) gone.remove();
    // One that was moved has lost it.
    if (focused !== document.activeElement && this.#body.contains(focused)) focused.focus({ preventScroll: true });
    this.#empty.hidden = rows.length > 0;
    this.#body.parentElement.hidden = rows.length === 0;
  }

  #make(row) {
    const cells = this.#columns.map((column) => {
      const kind = column.number ? 'number' : '';
      const cell = element('td', { role: 'cell', class: kind, 'data-title': column.title, 'data-column': column.name });
      if (column.make) cell.append(column.make(row));
      return cell;
    });
    return element('tr', { role: 'row' }, ...cells);
  }

  #fill(shown, row) {
    this.#columns.forEach((column, place) => {
      const cell = shown.children[place];
      if (column.make) column.update?.(cell.firstElementChild, row);
      else setText(cell, column.text(row));
      if (column.mood) cell.className = `${column.number ? 'number' : ''} ${column.mood(row)}`.trim();
    });
  }
}
