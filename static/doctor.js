// Shows on the doctor's page what this browser can do (WebAuthn L3 5.1.7). All text is in the page.

const api = window.PublicKeyCredential;

if (api) {
  const abilities = {
    // Older browsers can't list their abilities, but they answer these two questions.
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
