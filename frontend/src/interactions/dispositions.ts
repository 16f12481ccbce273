import { shallowRef } from "vue";
import { api } from "@/api";
import type { Disposition } from "@/api/types";
import { useText } from "@/i18n";
import { session } from "@/session/session";

const known = shallowRef<Disposition[]>([]);
let asked: Promise<void> | null = null;

/** What can become of a contact, in the reader's language; asked of the server once. */
export function useDispositions() {
  const { language } = useText();
  const given = session.value?.site?.dispositions;
  if (given?.length) known.value = given;
  else {
    asked ??= api.site().then(
      (site) => void (known.value = site.dispositions),
      () => void (asked = null),
    );
  }
  const labelOf = (id: string | null | undefined) => {
    const found = known.value.find((one) => one.id === id);
    return found ? found[`label_${language.value}`] : (id ?? "");
  };
  return { all: known, labelOf };
}
