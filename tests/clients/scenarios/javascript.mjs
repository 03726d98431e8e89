// What people do with @huggingface/hub, large files by LFS (useXet: false); the counterpart of
// endpoint.py. Prints the same lines as steps.py does. Runs in Node, the package where CLIENT says.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { join } from "node:path";

const hub = createRequire(join(process.env.CLIENT, "package.json"))("@huggingface/hub");
const { HUB_URL: hubUrl, ANNA_TOKEN, BO_TOKEN, RUN } = process.env;
// Lists of releases before 1.0 look at `credentials` only.
const anna = { hubUrl, accessToken: ANNA_TOKEN, credentials: { accessToken: ANNA_TOKEN } };
const bo = { hubUrl, accessToken: BO_TOKEN };
const nobody = { hubUrl };
const model = { type: "model", name: `anna/${RUN}model` };
const hidden = { type: "model", name: `anna/${RUN}hidden` };
const dataset = { type: "dataset", name: `acme/${RUN}dataset` };
const space = { type: "space", name: `anna/${RUN}space` };
const parts = { type: "model", name: `anna/${RUN}parts` };
const card = `---\nlicense: apache-2.0\ntags:\n- t-${RUN}\n---\n# Model\n`;
const steps = [];

class NotInThisRelease extends Error {}

function step(name, work) {
	steps.push([name, work]);
}

function needs(name) {
	if (!hub[name]) throw new NotInThisRelease(name);
	return hub[name];
}

function noise(size, seed = 1) {
	const bytes = Buffer.alloc(size);
	let state = seed;
	for (let at = 0; at < size; at += 4) {
		state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
		bytes.writeUInt32LE(state, Math.min(at, size - 4));
	}
	return bytes;
}

const weights = noise(11_000_000);
const manyParts = noise(2_500_001, 2);

function digest(bytes) {
	return createHash("sha256").update(bytes).digest("hex");
}

async function same(blob, bytes) {
	assert.ok(blob, "there is no such file");
	const found = Buffer.from(await blob.arrayBuffer());
	assert.equal(found.length, bytes.length);
	assert.equal(digest(found), digest(bytes));
}

async function all(items) {
	const found = [];
	for await (const item of items) found.push(item);
	return found;
}

async function refused(status, work) {
	await assert.rejects(work, (error) => error.statusCode === status || assert.fail(`${error}`));
}

function add(path, bytes) {
	return { operation: "addOrUpdate", path, content: new Blob([bytes]) };
}

function commit(repo, title, operations, more = {}) {
	return hub.commit({ repo, title, operations, useXet: false, ...anna, ...more });
}

async function partsReceived() {
	const metrics = await (await fetch(`${hubUrl}/metrics`)).text();
	const route = 'hubstead_request_seconds_count{route="PUT /api/lfs/parts/{upload}/{number}"} ';
	const line = metrics.split("\n").find((each) => each.startsWith(route));
	return line ? Number(line.slice(route.length)) : 0;
}

step("Create models, a dataset of an organization, a space", async () => {
	const made = await hub.createRepo({ repo: model, ...anna });
	assert.equal(made.repoUrl, `${hubUrl}/${model.name}`);
	const files = [{ path: "a.txt", content: new Blob(["a"]) }];
	await hub.createRepo({ repo: hidden, private: true, files, ...anna });
	await hub.createRepo({ repo: dataset, license: "mit", ...anna });
	await hub.createRepo({ repo: space, sdk: "static", ...anna });
	await refused(409, () => hub.createRepo({ repo: model, ...anna }));
});

step("Request the user of the token; an unknown token is refused", async () => {
	const me = await hub.whoAmI(anna);
	assert.equal(me.name, "anna");
	assert.ok(me.orgs.some((org) => org.name === "acme"));
	await refused(401, () => hub.whoAmI({ hubUrl, accessToken: `hf_${"x".repeat(34)}` }));
});

step("Commit small and large files, and delete", async () => {
	const done = await commit(model, "First", [
		add("README.md", card),
		add("deep/er/x.txt", "deep\n"),
		add("empty.txt", ""),
		add("weights.bin", weights),
	]);
	assert.match(done.commit.oid, /^[0-9a-f]{40}$/);
	await commit(model, "Less", [{ operation: "delete", path: "empty.txt" }]);
	await refused(412, () => commit(model, "Late", [add("x", "x")], { parentCommit: done.commit.oid }));
});

step("Upload a large file by LFS in 13 parts", async () => {
	const body = JSON.stringify({ name: parts.name.split("/")[1], lfsmultipartthresh: 1_000_000 });
	const headers = { Authorization: `Bearer ${ANNA_TOKEN}`, "Content-Type": "application/json" };
	const made = await fetch(`${hubUrl}/api/repos/create`, { method: "POST", body, headers });
	assert.equal(made.status, 200);
	const before = await partsReceived();
	await commit(parts, "Parts", [add("w.bin", manyParts)]);
	assert.equal(await partsReceived(), before + 13);
	await same(await hub.downloadFile({ repo: parts, path: "w.bin", xet: false, ...nobody }), manyParts);
});

step("Upload and delete single files", async () => {
	const file = { path: "d.csv", content: new Blob(["a,b\n"]) };
	await hub.uploadFile({ repo: dataset, file, useXet: false, ...anna });
	await hub.uploadFiles({ repo: dataset, files: [{ path: "e.csv", content: new Blob(["e"]) }], useXet: false, ...anna });
	await hub.deleteFile({ repo: dataset, path: "e.csv", ...anna });
	const files = (await all(hub.listFiles({ repo: dataset, ...nobody }))).map((entry) => entry.path);
	assert.deepEqual(files.sort(), [".gitattributes", "README.md", "d.csv"]);
});

step("List the files of a repository, with their last commits", async () => {
	const options = { repo: model, recursive: true, expand: true, ...nobody };
	const entries = await all(hub.listFiles(options));
	const paths = entries.filter((entry) => entry.type === "file").map((entry) => entry.path);
	assert.deepEqual(paths.sort(), [".gitattributes", "README.md", "deep/er/x.txt", "weights.bin"]);
	const large = entries.find((entry) => entry.path === "weights.bin");
	assert.equal(large.lfs.oid, digest(weights));
	assert.equal(large.lastCommit.title, "First");
});

step("Request single paths", async () => {
	const [found] = await needs("pathsInfo")({ repo: model, paths: ["weights.bin"], expand: true, ...nobody });
	assert.equal(found.size, weights.length);
	assert.equal(found.lastCommit.title, "First");
});

step("Request a file's size and hash, and download it, equal byte by byte", async () => {
	const info = await hub.fileDownloadInfo({ repo: model, path: "weights.bin", ...nobody });
	assert.equal(info.size, weights.length);
	assert.equal(info.etag, `"${digest(weights)}"`);
	for (const [path, bytes] of [["weights.bin", weights], ["README.md", Buffer.from(card)]]) {
		await same(await hub.downloadFile({ repo: model, path, xet: false, ...nobody }), bytes);
	}
	const none = await hub.fileDownloadInfo({ repo: model, path: "no-such-file", ...nobody });
	assert.equal(none, null);
	const blob = await hub.downloadFile({ repo: model, path: "weights.bin", xet: false, ...nobody });
	if (blob.slice) await same(blob.slice(5, 25), weights.subarray(5, 25)); // a Response before 2.0
});

step("Download a whole model, equal byte by byte", async () => {
	const cacheDir = join(process.env.HOME, "js-cache");
	const folder = await needs("snapshotDownload")({ repo: model, cacheDir, ...nobody });
	assert.equal(digest(await readFile(join(folder, "weights.bin"))), digest(weights));
	assert.equal(digest(await readFile(join(folder, "deep/er/x.txt"))), digest("deep\n"));
});

step("List models, datasets and spaces", async () => {
	const names = async (items) => (await all(items)).map((item) => item.name);
	assert.deepEqual(await names(hub.listModels({ search: { tags: [`t-${RUN}`] }, ...nobody })), [model.name]);
	const listed = await names(hub.listModels({ search: { owner: "anna" }, ...nobody }));
	assert.ok(listed.includes(model.name));
	assert.ok(!listed.includes(hidden.name));
	assert.ok((await names(hub.listModels({ search: { owner: "anna" }, ...anna }))).includes(hidden.name));
	assert.ok((await names(hub.listDatasets({ search: { owner: "acme" }, ...nobody }))).includes(dataset.name));
	assert.ok((await names(hub.listSpaces({ search: { owner: "anna" }, ...nobody }))).includes(space.name));
});

step("Request a model, a dataset, a space", async () => {
	const found = await needs("modelInfo")({ name: model.name, additionalFields: ["sha", "tags"], ...nobody });
	assert.equal(found.name, model.name);
	assert.match(found.sha, /^[0-9a-f]{40}$/);
	assert.ok(found.tags.includes(`t-${RUN}`));
	assert.equal((await hub.datasetInfo({ name: dataset.name, ...nobody })).name, dataset.name);
	assert.equal((await hub.spaceInfo({ name: space.name, ...nobody })).name, space.name);
});

step("A private model is indistinguishable from a missing one", async () => {
	await refused(404, () => all(hub.listFiles({ repo: hidden, ...bo })));
	await refused(401, () => all(hub.listFiles({ repo: hidden, ...nobody })));
	await refused(404, () => all(hub.listFiles({ repo: { type: "model", name: "anna/no" }, ...bo })));
	await refused(403, () => commit(model, "No", [add("x", "x")], bo));
});

step("Check that a repository and a file exist", async () => {
	assert.equal(await needs("repoExists")({ repo: model, ...nobody }), true);
	assert.equal(await hub.repoExists({ repo: hidden, ...bo }), false);
	assert.equal(await hub.fileExists({ repo: model, path: "README.md", ...nobody }), true);
	assert.equal(await hub.fileExists({ repo: model, path: "no-such-file", ...nobody }), false);
});

step("Create a branch, commit to it, delete it", async () => {
	await needs("createBranch")({ repo: model, branch: "try/it", ...anna });
	await commit(model, "On a branch", [add("b.txt", "b")], { branch: "try/it" });
	const blob = await hub.downloadFile({ repo: model, path: "b.txt", revision: "try/it", xet: false, ...nobody });
	await same(blob, Buffer.from("b"));
	await hub.deleteBranch({ repo: model, branch: "try/it", ...anna });
	await refused(404, () => all(hub.listFiles({ repo: model, revision: "try/it", ...nobody })));
});

step("List and count the commits of a branch", async () => {
	const titles = (await all(hub.listCommits({ repo: model, ...nobody }))).map((each) => each.title);
	assert.deepEqual(titles.slice(0, 2), ["Less", "First"]);
	assert.equal(await needs("countCommits")({ repo: model, ...nobody }), titles.length);
});

step("Delete repositories", async () => {
	await refused(403, () => hub.deleteRepo({ repo: model, ...bo }));
	for (const repo of [model, hidden, dataset, space, parts]) await hub.deleteRepo({ repo, ...anna });
	await refused(404, () => hub.deleteRepo({ repo: model, ...anna }));
});

for (const [name, work] of steps) {
	const result = { step: name };
	const began = performance.now();
	try {
		await work();
	} catch (error) {
		if (error instanceof NotInThisRelease) result.absent = error.message;
		else result.error = `${error.stack}\n${JSON.stringify(error)}`;
	}
	result.seconds = Math.round(performance.now() - began) / 1000;
	console.log(`STEP ${JSON.stringify(result)}`);
}
