/**
 * What this browser keeps of one person's work, readable only while they are signed in: sealed
 * (AES-256-GCM) with a key that the server gives to nobody else's session, and that is held in
 * memory only. Without Web Crypto (http from another machine) nothing is kept.
 */

const NONCE = 12;

let key: CryptoKey | null = null;
/** By name: what is being sealed is not written when something later, or nothing, is wanted. */
const turns = new Map<string, number>();

/** Before anything else here. `hex`: the person's 256 bits. */
export async function unlock(hex: string): Promise<void> {
  key = null;
  turns.clear();
  const bytes = Uint8Array.from(hex.match(/../g) ?? [], (two) => parseInt(two, 16));
  if (!globalThis.crypto?.subtle || bytes.length !== 32) return;
  key = await crypto.subtle.importKey("raw", bytes, "AES-GCM", false, ["encrypt", "decrypt"]);
}

/** Resolves when it is written, or given up for something later. */
export async function put(storage: Storage, name: string, value: unknown): Promise<void> {
  if (!key) return;
  const turn = next(name);
  const nonce = crypto.getRandomValues(new Uint8Array(NONCE));
  const plain = new TextEncoder().encode(JSON.stringify(value));
  const sealed = await crypto.subtle.encrypt(terms(name, nonce), key, plain);
  if (turns.get(name) !== turn) return;
  const signs = [...nonce, ...new Uint8Array(sealed)].map((one) => String.fromCharCode(one));
  storage.setItem(name, btoa(signs.join("")));
}

/** What was put there; null where nothing is, or nothing that this person can open. */
export async function take(storage: Storage, name: string): Promise<unknown> {
  const sealed = storage.getItem(name);
  if (!key || !sealed) return null;
  try {
    const bytes = Uint8Array.from(atob(sealed), (sign) => sign.charCodeAt(0));
    const how = terms(name, bytes.slice(0, NONCE));
    const plain = await crypto.subtle.decrypt(how, key, bytes.slice(NONCE));
    return JSON.parse(new TextDecoder().decode(plain));
  } catch {
    return null;
  }
}

export function drop(storage: Storage, name: string): void {
  next(name);
  storage.removeItem(name);
}

function next(name: string): number {
  const turn = (turns.get(name) ?? 0) + 1;
  turns.set(name, turn);
  return turn;
}

/** Bound to its name: what is kept for one call opens as no other's. */
function terms(name: string, nonce: Uint8Array<ArrayBuffer>): AesGcmParams {
  return { name: "AES-GCM", iv: nonce, additionalData: new TextEncoder().encode(name) };
}
