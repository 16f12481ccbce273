/** Passkeys as this browser makes them (WebAuthn level 3); older browsers know none. */
export function canMakePasskeys(): boolean {
  return Boolean(window.PublicKeyCredential?.parseCreationOptionsFromJSON);
}

/** A new passkey for the server's options. Rejects where nobody let the device make one. */
export async function makePasskey(
  options: Record<string, unknown>,
): Promise<Record<string, unknown>> {
  const publicKey = PublicKeyCredential.parseCreationOptionsFromJSON(
    options as unknown as PublicKeyCredentialCreationOptionsJSON,
  );
  const made = await navigator.credentials.create({ publicKey });
  return (made as PublicKeyCredential).toJSON() as unknown as Record<string, unknown>;
}
