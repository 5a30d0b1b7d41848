/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs a fuzz target over the files of its corpus, with any compiler: `PROGRAM FILE|DIRECTORY...`.
 * No input at all is a failure, so that a lost corpus does not look like a passed test.
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static unsigned long inputs;

static int replay_file(const char *path)
{
	uint8_t *data = NULL;
	int err = -1;
	struct stat st;
	FILE *file = fopen(path, "rb");

	if (!file || fstat(fileno(file), &st) < 0)
		goto out;
	/* Exactly as long as the input, so that ASan sees a read past its end. */
	data = malloc(st.st_size > 0 ? (size_t)st.st_size : 1);
	if (!data || fread(data, 1, (size_t)st.st_size, file) != (size_t)st.st_size)
		goto out;
	LLVMFuzzerTestOneInput(data, (size_t)st.st_size);
	inputs++;
	err = 0;
out:
	if (err)
		perror(path);
	free(data);
	if (file)
		fclose(file);
	return err;
}

static int replay_directory(const char *path)
{
	struct dirent **entries = NULL;
	char name[4096];
	int err = 0;
	int count = scandir(path, &entries, NULL, alphasort);

	for (int i = 0; i < count; i++) {
		if (entries[i]->d_name[0] != '.') {
			snprintf(name, sizeof(name), "%s/%s", path, entries[i]->d_name);
			err |= replay_file(name);
		}
		free(entries[i]);
	}
	free(entries);
	if (count < 0)
		perror(path);
	return count < 0 ? -1 : err;
}

int main(int argc, char **argv)
{
	struct stat st;
	int err = 0;

	for (int i = 1; i < argc; i++) {
		if (stat(argv[i], &st) == 0 && S_ISDIR(st.st_mode))
			err |= replay_directory(argv[i]);
		else
			err |= replay_file(argv[i]);
	}
	printf("%lu inputs\n", inputs);
	if (inputs == 0)
		fprintf(stderr, "%s: no inputs\n", argv[0]);
	return err || inputs == 0;
}
