// deploy/kubernetes against the schemas of the API, as the npm package kubernetes-models has them: its validators judge the
// values, and the TypeScript compiler finds fields that a type does not have.
// usage: NODE_PATH=FOLDER/node_modules node kubernetes.cjs MANIFEST...     (kubernetes-models, js-yaml, typescript@5)
const fs = require("fs");
const path = require("path");
const yaml = require("js-yaml");
const typescript = require("typescript");

const complaints = [];
let judged = 0;
for (const file of process.argv.slice(2)) {
  for (const document of yaml.loadAll(fs.readFileSync(file, "utf8"))) {
    if (document.kind === "Kustomization") continue;
    judged += 1;
    const model = require(`kubernetes-models/${document.apiVersion}`)[document.kind];
    if (!model) throw new Error(`${document.apiVersion} has no ${document.kind}`);
    try {
      new model(document).validate();
    } catch (error) {
      complaints.push(`${file}: ${error.message}`);
    }
    const source = path.join(process.env.NODE_PATH, `../${path.basename(file)}-${judged}.ts`);
    fs.writeFileSync(source, `import { I${document.kind} } from "kubernetes-models/${document.apiVersion}";\n` +
      `export const it: I${document.kind} = ${JSON.stringify(document, null, 1)};\n`);
    const program = typescript.createProgram([source], { noEmit: true, skipLibCheck: true, moduleResolution: typescript.ModuleResolutionKind.Node10,
      types: [] });
    for (const found of typescript.getPreEmitDiagnostics(program)) {
      complaints.push(`${file}: ${typescript.flattenDiagnosticMessageText(found.messageText, "\n")}`);
    }
  }
}
console.log(complaints.join("\n") || `${judged} manifests fit their schemas`);
process.exit(complaints.length ? 1 : 0);
