// Runs the suites of this folder beside one server: `HUBBUB=<binary> npm test [file.test.js ...]`.

import { runSuite } from "../../support/suite.js";
import { PRIMARY_KEY, SECONDARY_KEY } from "./support/keys.js";

await runSuite({
  home: import.meta.url,
  flags: ["--access-key", PRIMARY_KEY, "--secondary-key", SECONDARY_KEY, "--allow-unvalidated-entra-tokens"],
});
