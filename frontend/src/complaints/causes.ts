import { shallowRef } from "vue";
import { api } from "@/api";
import type { Cause } from "@/api/types";
import { useText } from "@/i18n";

const known = shallowRef<Cause[]>([]);
let asked: Promise<void> | null = null;

/** What can have gone wrong, in the reader's language; asked of the server once. */
export function useCauses() {
  const { language } = useText();
  asked ??= api.causes().then(
    (page) => void (known.value = page.items),
    () => void (asked = null),
  );
  const causeOf = (id: string | null | undefined) => {
    const found = known.value.find((one) => one.id === id);
    return found ? found[`label_${language.value}`] : (id ?? "");
  };
  return { causes: known, causeOf };
}
