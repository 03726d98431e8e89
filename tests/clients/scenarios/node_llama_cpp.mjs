// Resolves models as node-llama-cpp names them, into the folder FOLDER; prints their paths as JSON.
const {resolveModelFile} = await import(process.env.LIBRARY);
const tokens = process.env.HF_TOKEN ? {huggingFace: process.env.HF_TOKEN} : undefined;
const resolved = {};
for (const name of process.argv.slice(2)) {
    try {
        resolved[name] = await resolveModelFile(name, {directory: process.env.FOLDER, cli: false, tokens});
    } catch (error) {
        resolved[name] = {error: error.message};
    }
}
console.log(JSON.stringify(resolved));
process.exit(0);
