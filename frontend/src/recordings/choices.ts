import { reactive } from "vue";
import { api } from "@/api";
import type { User } from "@/api/types";
import { session } from "@/session/session";

interface Choices {
  queues: string[];
  lines: string[];
  agents: Pick<User, "id" | "name">[];
}

/** What the lists of the filters offer; agents only to those who may hear others than themselves. */
export function useChoices(): Choices {
  const found = reactive<Choices>({ queues: [], lines: [], agents: [] });
  void api.site().then(
    (site) => {
      found.queues = site.queues;
      found.lines = site.lines.map((line) => line.number);
    },
    () => undefined, // the other filters do without
  );
  if ("users.read" in (session.value?.permissions ?? {})) void agents(found);
  return found;
}

async function agents(found: Choices): Promise<void> {
  let cursor: string | null | undefined;
  do {
    const page = await api.users({ limit: 200, cursor }).catch(() => null);
    const talking = page?.items.filter((one) => ["agent", "supervisor"].includes(one.role));
    found.agents.push(...(talking ?? []));
    cursor = page?.next;
  } while (cursor);
}
