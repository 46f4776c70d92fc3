// <passkey-registration>: creates a passkey.

import { Ceremony } from "./ceremony.js";

class PasskeyRegistration extends Ceremony {
  failures = {
    InvalidStateError: "already",
    NotAllowedError: "cancelled",
    NotSupportedError: "unsupported",
    ConstraintError: "unsupported",
  };

  modal = (publicKey, signal) => navigator.credentials.create({ publicKey, signal });
}

customElements.define("passkey-registration", PasskeyRegistration);
