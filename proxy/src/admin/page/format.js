// Numbers, times and states in words.

const COMPACT = new Intl.NumberFormat('en', { notation: 'compact', maximumFractionDigits: 1 });
const WHOLE = new Intl.NumberFormat('en');

export const whole = (number) => WHOLE.format(number);

// Up to 9,999 in full, then 12.3K.
export const count = (number) => (number < 10_000 ? WHOLE.format(number) : COMPACT.format(number));

export function rate(perSecond) {
  if (perSecond === undefined) return '–';
  return perSecond < 10 ? perSecond.toFixed(1) : count(Math.round(perSecond));
}

export function bytes(number) {
  const units = ['B', 'kB', 'MB', 'GB', 'TB', 'PB'];
  let place = 0;
  let left = number;
  for (; left >= 1000 && place < units.length - 1; place += 1) left /= 1000;
  return `${place === 0 || left >= 100 ? Math.round(left) : left.toFixed(1)} ${units[place]}`;
}

// A time in microseconds.
export function micros(time) {
  if (time < 1000) return `${time} µs`;
  if (time < 1_000_000) return `${(time / 1000).toFixed(time < 10_000 ? 1 : 0)} ms`;
  return seconds(time / 1_000_000);
}

export function seconds(time) {
  if (time < 60) return `${time.toFixed(time < 10 ? 1 : 0)} s`;
  const whole = Math.floor(time);
  const [days, hours] = [Math.floor(whole / 86_400), Math.floor(whole / 3600) % 24];
  const minutes = Math.floor(whole / 60) % 60;
  if (days > 0) return `${days} d ${hours} h`;
  return hours > 0 ? `${hours} h ${minutes} min` : `${minutes} min ${whole % 60} s`;
}

// The milliseconds of a moment as the console writes it: 2026-11-30 08:30:00 UTC.
export const moment = (text) => Date.parse(text.replace(' UTC', 'Z').replace(' ', 'T'));

// How long ago that was, by the proxy's own clock.
export const age = (text, now) => seconds(Math.max(0, (moment(now) - moment(text)) / 1000));

// Each state has a sign besides its colour.
const SIGNS = { active: '●', idle: '○', waiting: '◔', suspended: '■', migrating: '▲', unknown: '○' };

export const state = (name) => `${SIGNS[name] ?? '◆'} ${name}`;

export const mood = (name) =>
  ({ active: 'good', waiting: 'warn', suspended: 'bad', migrating: 'warn', gone: 'bad' })[name] ?? '';
