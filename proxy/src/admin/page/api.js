// What the proxy is asked. The browser adds the password that it was given for the page.

const PATIENCE = 10_000;

// The JSON at a path; parameters without a value are left out. Throws an Error that says what went wrong.
export async function ask(path, parameters = {}, signal = undefined) {
  const given = Object.entries(parameters).filter(([, value]) => value !== undefined && value !== '');
  const query = new URLSearchParams(given).toString();
  const signals = [AbortSignal.timeout(PATIENCE), ...(signal ? [signal] : [])];
  const answer = await fetch(`/api/v1/${path}${query && `?${query}`}`, { signal: AbortSignal.any(signals) });
  const body = await answer.json().catch(() => null);
  if (!answer.ok) throw new Error(body?.error ?? `the proxy answered ${answer.status}`);
  return body;
}
