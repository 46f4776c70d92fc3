// The browser's abilities (WebAuthn L3 5.1.7), on the doctor's page. All text is in the page; this only reveals it.

const api = window.PublicKeyCredential;

if (api) {
  const abilities = {
    // Browsers that can't list them all tell these two.
    conditionalGet: await api.isConditionalMediationAvailable?.(),
    userVerifyingPlatformAuthenticator: await api.isUserVerifyingPlatformAuthenticatorAvailable?.(),
    ...(await api.getClientCapabilities?.()),
  };
  for (const item of document.querySelectorAll("[data-ability]")) {
    const answer = { true: "yes", false: "no" }[abilities[item.dataset.ability]] ?? "unknown";
    item.querySelector(`[data-answer=${answer}]`).hidden = false;
    item.hidden = false;
  }
  document.querySelector("[data-without-passkeys]").hidden = true;
}
