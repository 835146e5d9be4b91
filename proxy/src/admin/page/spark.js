// Rates from successive answers, and small plots of them. They are kept in the page, of what it shows.

const POINTS = 40;
const SVG = 'http://www.w3.org/2000/svg';

// Counters by key: what one of them grew by, per second, at each answer.
export class Rates {
  #all = new Map();

  // Takes the newest counts, a Map, and forgets those that are not among them.
  take(counts, at = performance.now()) {
    const before = this.#all;
    this.#all = new Map();
    for (const [key, counted] of counts) {
      const known = before.get(key) ?? { points: [] };
      // Twice in a moment, as when a user searches, says nothing of a rate.
      if (known.at !== undefined && at - known.at < 900) {
        this.#all.set(key, known);
        continue;
      }
      const { points } = known;
      if (known.at !== undefined) {
        // A counter that has fallen began again: the proxy was restarted.
        const grown = counted < known.counted ? counted : counted - known.counted;
        points.push((grown * 1000) / (at - known.at));
        if (points.length > POINTS) points.shift();
      }
      this.#all.set(key, { at, counted, points });
    }
  }

  of(key) {
    return this.#all.get(key)?.points ?? [];
  }

  last(key) {
    return this.of(key).at(-1);
  }
}

// An empty plot.
export function plot(width, height) {
  const made = document.createElementNS(SVG, 'svg');
  made.setAttribute('viewBox', `0 0 ${width} ${height}`);
  made.setAttribute('class', 'spark');
  made.setAttribute('aria-hidden', 'true');
  made.setAttribute('preserveAspectRatio', 'none');
  made.append(document.createElementNS(SVG, 'polygon'), document.createElementNS(SVG, 'polyline'));
  return made;
}

// Draws points, from 0 to the largest, the newest on the right.
export function draw(made, points) {
  const [, , width, height] = made.getAttribute('viewBox').split(' ').map(Number);
  const most = Math.max(...points, 1e-9);
  const x = (place) => width - ((points.length - 1 - place) * width) / (POINTS - 1);
  const y = (value) => height - 1 - (value / most) * (height - 2);
  const line = points.map((value, place) => `${x(place).toFixed(1)},${y(value).toFixed(1)}`);
  const [area, stroke] = made.children;
  stroke.setAttribute('points', line.join(' '));
  const ends = points.length > 1 ? [`${x(0).toFixed(1)},${height}`, ...line, `${width},${height}`] : [];
  area.setAttribute('points', ends.join(' '));
}
