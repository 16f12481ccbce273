/** Parts of the application that are fetched when they are needed, on networks that come and go. */

const PAUSE = 2_000;
const TRIES = 5;

/** Until the network says that it is back, and no longer than a moment. */
function pause(): Promise<void> {
  return new Promise((done) => {
    const go = () => {
      clearTimeout(timer);
      window.removeEventListener("online", go);
      done();
    };
    const timer = setTimeout(go, PAUSE);
    window.addEventListener("online", go);
  });
}

/**
 * What `load` loads, tried again after a lost network.
 *
 * Fails with the last error after five tries with a network: then the server has no such part
 * any more (it was updated meanwhile) and only a new page helps.
 */
export async function part<T>(load: () => Promise<T>, wait = pause): Promise<T> {
  for (let left = TRIES; ;) {
    try {
      return await load();
    } catch (error) {
      if (navigator.onLine) left -= 1;
      if (left <= 0) throw error;
      await wait();
    }
  }
}

const contactPane = () => part(() => import("@/desk/ContactPane.vue"));
const deskPage = () => part(() => import("@/desk/DeskPage.vue"));

export const parts = { contactPane, deskPage };

/** Everything that a call needs on the screen: there before the first call can come. */
export async function fetchDesk(): Promise<void> {
  await Promise.all([deskPage(), contactPane()]);
}
