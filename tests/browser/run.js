// Runs the browser tests beside one server: `HUBBUB=<binary> npm test [file.test.js ...]`. The
// examples that they open must have their packages installed.

import { runSuite } from "../support/suite.js";

await runSuite({ home: import.meta.url });
