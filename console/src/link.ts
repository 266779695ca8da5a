// The one-time link's token: taken out of the address at once, kept in memory, given away once.

const TOKEN = /^[\w.~-]{8,512}$/;
let token: string | null = null;

/** Reads the fragment of `/sign-in#TOKEN` and removes it from the address bar and the history. */
export function takeToken(): void {
  if (location.pathname !== "/sign-in" || location.hash.length < 2) return;
  const text = location.hash.slice(1);
  token = TOKEN.test(text) ? text : null;
  history.replaceState(history.state, "", location.pathname + location.search);
}

export const heldToken = (): string | null => token;

export function forgetToken(): void {
  token = null;
}

/** A link opened while the sign-in page is already shown changes the fragment only. */
export function onNewToken(listener: () => void): () => void {
  const heard = () => {
    takeToken();
    listener();
  };
  window.addEventListener("hashchange", heard);
  return () => window.removeEventListener("hashchange", heard);
}
