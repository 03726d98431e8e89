// The counterpart of exchange.py: `up REPO NAME PATH`, `down REPO NAME PATH`.
import { readFile, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { join } from "node:path";

const hub = createRequire(join(process.env.CLIENT, "package.json"))("@huggingface/hub");
const anna = { hubUrl: process.env.HUB_URL, accessToken: process.env.ANNA_TOKEN };
const [action, name, path, file] = process.argv.slice(2);
const repo = { type: "model", name };
if (action === "up") {
	if (!(await hub.repoExists({ repo, ...anna }))) await hub.createRepo({ repo, ...anna });
	await hub.uploadFile({ repo, file: { path, content: new Blob([await readFile(file)]) }, ...anna });
} else {
	const blob = await hub.downloadFile({ repo, path, ...anna });
	await writeFile(file, Buffer.from(await blob.arrayBuffer()));
}
